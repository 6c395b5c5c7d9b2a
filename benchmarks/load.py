"""Puts into an etcd: a whole configuration at once, or edits at a steady rate.

    python -m benchmarks.load ENDPOINT ROUTES RATE SECONDS

edits a shop of ROUTES routes RATE times a second, as far as etcd keeps pace, and prints for each put the
revision that it made, when it was sent and when etcd acknowledged it (seconds since 1970).
"""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import grpc

from benchmarks.shop import Shop
from replicator.adapters.etcd_messages import messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.shop import KeyValue

_TXN_OPERATIONS = 128  # etcd's limit
_TXN_BYTES = 1 << 20  # etcd's limit is half a megabyte more
_IN_FLIGHT = 128  # one connection then takes some 8,000 puts a second
_POOL = 20_000  # so many different requests are made before the first is sent, and then sent again


@dataclass(frozen=True, slots=True)
class Put:
    """A put that etcd has taken: the revision that it made, and when (seconds since 1970)."""

    revision: int
    sent_at: float
    acked_at: float


def fill(endpoint: str, items: Iterable[KeyValue]) -> int:
    """Put *items* in large transactions; return the sum of the sizes of keys and values."""
    size_bytes = 0
    with channel_to(endpoint) as channel:
        stub = messages.KVStub(channel)
        for group in _groups(items):
            puts = [messages.RequestOp(request_put=_request(*item)) for item in group]
            stub.Txn(messages.TxnRequest(success=puts))
            size_bytes += sum(map(_size, group))
    return size_bytes


def _groups(items: Iterable[KeyValue]) -> Iterator[list[KeyValue]]:
    """Yield *items* in groups that etcd takes as one transaction."""
    group: list[KeyValue] = []
    group_bytes = 0
    for item in items:
        if len(group) == _TXN_OPERATIONS or (group and group_bytes + _size(item) > _TXN_BYTES):
            yield group
            group, group_bytes = [], 0
        group.append(item)
        group_bytes += _size(item)
    if group:
        yield group


def _size(item: KeyValue) -> int:
    return sum(map(len, item))


def edit(endpoint: str, changes: Iterable[KeyValue], rate: int, seconds: int) -> list[Put]:
    """Put *changes* one by one, *rate* a second with many in flight, until *seconds* have passed.

    Where etcd or this machine can't keep pace, it becomes fewer. Return them in order of their revisions.
    """
    return _send(endpoint, changes, rate, rate * seconds, seconds)


def head(endpoint: str) -> int:
    """Return the revision of the etcd at *endpoint*."""
    with channel_to(endpoint) as channel:
        return int(messages.KVStub(channel).Range(messages.RangeRequest(key=b"/")).header.revision)


def pile_up(endpoint: str, changes: Iterable[KeyValue], count: int) -> int:
    """Put *count* of *changes* one by one, as fast as etcd takes them; return the last revision."""
    return _send(endpoint, changes, math.inf, count, math.inf)[-1].revision


def change_each(endpoint: str, changes: Iterable[KeyValue], each_s: float, ending: threading.Event) -> None:
    """Put one of *changes* each so many seconds, until *ending* is set."""
    with channel_to(endpoint) as channel:
        kv = messages.KVStub(channel)
        for change in changes:
            if ending.wait(each_s):
                return
            kv.Put(_request(*change))


def _send(endpoint: str, changes: Iterable[KeyValue], rate: float, count: int, seconds: float) -> list[Put]:
    requests = [_request(*change) for change in islice(changes, min(count, _POOL))]
    puts: list[Put] = []
    free = threading.Semaphore(_IN_FLIGHT)

    def take(sent_at: float, call: Any) -> None:
        free.release()
        puts.append(Put(call.result().header.revision, sent_at, time.time()))

    with channel_to(endpoint) as channel:
        put = messages.KVStub(channel).Put
        started = time.monotonic()
        for number, request in zip(range(count), cycle(requests), strict=False):
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


def channel_to(endpoint: str) -> Any:
    """Return a connection to the etcd at *endpoint* that takes messages of any size."""
    options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]
    return grpc.insecure_channel(endpoint.removeprefix("http://"), options)


def main(endpoint: str, routes: str, rate: str, seconds: str) -> None:
    for put in edit(endpoint, Shop(int(routes), seed=2).changes(), int(rate), int(seconds)):
        print(put.revision, put.sent_at, put.acked_at)


if __name__ == "__main__":
    main(*sys.argv[1:])
