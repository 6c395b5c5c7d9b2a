"""Puts into an etcd: a whole configuration at once, or edits at a steady rate.

    python -m benchmarks.load ENDPOINT ROUTES RATE SECONDS

edits a shop of ROUTES routes RATE times a second, as far as etcd keeps pace, and prints for each put the
revision that it made, when it was sent and when etcd acknowledged it (seconds since 1970).
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import grpc

from benchmarks.shop import Shop
from replicator.adapters.etcd_messages import messages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.shop import KeyValue

_TXN_OPERATIONS = 128  # etcd's limit
_IN_FLIGHT = 128  # one connection then takes some 8,000 puts a second


@dataclass(frozen=True, slots=True)
class Put:
    """A put that etcd has taken: the revision that it made, and when (seconds since 1970)."""

    revision: int
    sent_at: float
    acked_at: float


def fill(endpoint: str, items: Iterable[KeyValue]) -> int:
    """Put *items* in large transactions; return the sum of the sizes of keys and values."""
    size_bytes = 0
    waiting = iter(items)
    with _channel(endpoint) as channel:
        stub = messages.KVStub(channel)
        while group := list(islice(waiting, _TXN_OPERATIONS)):
            puts = [messages.RequestOp(request_put=_request(*item)) for item in group]
            stub.Txn(messages.TxnRequest(success=puts))
            size_bytes += sum(len(key) + len(value) for key, value in group)
    return size_bytes


def edit(endpoint: str, changes: Iterable[KeyValue], rate: int, seconds: int) -> list[Put]:
    """Put *changes* one by one, *rate* a second with many in flight, until *seconds* have passed.

    Where etcd or this machine can't keep pace, it becomes fewer. Return them in order of their revisions.
    """
    requests = [_request(*change) for change in islice(changes, rate * seconds)]
    puts: list[Put] = []
    free = threading.Semaphore(_IN_FLIGHT)

    def take(sent_at: float, call: Any) -> None:
        free.release()
        puts.append(Put(call.result().header.revision, sent_at, time.time()))

    with _channel(endpoint) as channel:
        put = messages.KVStub(channel).Put
        started = time.monotonic()
        for number, request in enumerate(requests):
            passed_s = time.monotonic() - started
            if passed_s >= seconds:
                break
            time.sleep(max(0.0, number / rate - passed_s))
            free.acquire()
            put.future(request).add_done_callback(partial(take, time.time()))
        for _ in range(_IN_FLIGHT):
            free.acquire()
    return sorted(puts, key=lambda put: put.revision)


def edit_from_outside(endpoint: str, routes: int, rate: int, seconds: int) -> list[Put]:
    """Edit a shop of *routes* routes in a process of its own, and return what `edit` does."""
    command = [sys.executable, "-m", "benchmarks.load", endpoint, str(routes), str(rate), str(seconds)]
    lines = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    return [Put(int(revision), float(sent), float(acked)) for revision, sent, acked in map(str.split, lines)]


def _request(key: bytes, value: bytes) -> Any:
    return messages.PutRequest(key=key, value=value)


def _channel(endpoint: str) -> Any:
    return grpc.insecure_channel(endpoint.removeprefix("http://"), [("grpc.enable_http_proxy", 0)])


def main(endpoint: str, routes: str, rate: str, seconds: str) -> None:
    for put in edit(endpoint, Shop(int(routes), seed=2).changes(), int(rate), int(seconds)):
        print(put.revision, put.sent_at, put.acked_at)


if __name__ == "__main__":
    main(*sys.argv[1:])
