"""Catching up on what happened while nobody watched, until all is durable; and what etcd's writers feel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, repeat
from statistics import median, quantiles
from threading import Event, Thread
from typing import TYPE_CHECKING

from benchmarks.ground import Place
from benchmarks.load import channel_to, fill, head, pile_up
from benchmarks.processes import recording, spend
from benchmarks.report import Fact, Figure
from benchmarks.rounds import alternate, ratio
from benchmarks.shop import Shop
from replicator.adapters.etcd_messages import messages
from replicator.adapters.etcd_server import EtcdServer, find_etcd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.ground import Ground
    from benchmarks.report import Finding

_ROUTES = 1_000
_STAGGERED = 100
_AT_LEAST_TIMES = 10.0
_AT_LEAST_RATE = 0.6
_PUT_EACH_S = 0.01
_POLL_S = 0.02
_PATIENCE_S = 300.0
_MARK = b"the last of all changes"


@dataclass(frozen=True, slots=True)
class Caught:
    """How long one contender took from the start of its process, and etcd's p99 of a put meanwhile."""

    took_s: float
    put_p99_s: float


def measure(ground: Ground) -> Iterator[Finding]:
    """Yield single puts first, in one round, as etcdctl takes a minute; then large transactions."""
    count = ground.scale.backlog
    with _backlog(ground.folder / "singles", lambda endpoint: _put_singly(endpoint, count)) as backlog:
        contenders = {
            "etcdctl": partial(_caught, backlog, _etcdctl),
            "ours": partial(_caught, backlog, _ours),
            "bare": partial(_caught, backlog, partial(_bare, _STAGGERED)),
        }
        yield from _of_singles(count, alternate(contenders, 1))
    with _backlog(ground.folder / "transactions", lambda endpoint: _transact(endpoint, count)) as backlog:
        contenders = {
            "ours": partial(_caught, backlog, _ours),
            "bare": partial(_caught, backlog, partial(_bare, 1)),
        }
        yield _of_transactions(count, alternate(contenders, ground.scale.rounds))


def _of_singles(count: int, caught: dict[str, list[Caught]]) -> Iterator[Finding]:
    times = {name: [one.took_s for one in rounds] for name, rounds in caught.items()}
    yield Figure(
        what=f"catching up on {count:,} single puts, until durable",
        against="etcdctl watch --rev to a file: times as fast",
        ratio=ratio(times["etcdctl"], times["ours"]),
        target=_AT_LEAST_TIMES,
        is_least=True,
        measured=_words(times["ours"], times["etcdctl"], "etcdctl"),
    )
    yield Figure(
        what="the same",
        against=f"a bare watch by {_STAGGERED} staggered watchers, which keeps nothing",
        ratio=ratio(times["ours"], times["bare"]),
        measured=_words(times["ours"], times["bare"], "the bare watch"),
    )
    p99s = {name: [one.put_p99_s for one in rounds] for name, rounds in caught.items()}
    yield Figure(
        what="etcd's put p99 meanwhile",
        against="the same while etcdctl catches up",
        ratio=ratio(p99s["ours"], p99s["etcdctl"]),
        target=1.0,
        measured="; with etcdctl ".join(f"{1000 * median(p99s[who]):.0f} ms" for who in ("ours", "etcdctl")),
    )
    yield Fact(name="catching_up_single_puts_per_s", value=count / median(times["ours"]))


def _of_transactions(count: int, caught: dict[str, list[Caught]]) -> Figure:
    times = {name: [one.took_s for one in rounds] for name, rounds in caught.items()}
    return Figure(
        what=f"catching up on {count:,} puts in transactions of 128, until durable",
        against="the rate of a bare watch, which keeps nothing",
        ratio=ratio(times["bare"], times["ours"]),
        target=_AT_LEAST_RATE,
        is_least=True,
        measured=_words(times["ours"], times["bare"], "the bare watch"),
    )


def _words(ours_s: Sequence[float], theirs_s: Sequence[float], whose: str) -> str:
    return f"{median(ours_s):.1f} s; {whose} {median(theirs_s):.1f} s"


@dataclass(frozen=True)
class _Backlog:
    """What waits in an etcd: all *after* what the archive in *place* has, up to revision *last*."""

    folder: Path
    endpoint: str
    place: Place
    after: int
    last: int


@contextmanager
def _backlog(folder: Path, change: Callable[[str], None]) -> Iterator[_Backlog]:
    """Record a small shop into an archive, and *change* it while nobody watches."""
    place = Place({"ARCHIVE": f"file://{folder}/archive"})
    with EtcdServer(folder / "etcd", find_etcd()) as etcd:
        fill(etcd.endpoint, Shop(_ROUTES).items())
        with recording(etcd.endpoint, place, folder / "first.log"):
            after = head(etcd.endpoint)
        change(etcd.endpoint)
        last = pile_up(etcd.endpoint, [(b"/apisix/zz", _MARK)], 1)
        yield _Backlog(folder, etcd.endpoint, place, after, last)


def _put_singly(endpoint: str, count: int) -> None:
    pile_up(endpoint, Shop(_ROUTES, seed=2).changes(), count - 1)


def _transact(endpoint: str, count: int) -> None:
    items = list(Shop(_ROUTES, seed=2).items())
    fill(endpoint, islice(chain.from_iterable(repeat(items)), count - 1))


def _caught(backlog: _Backlog, contender: Callable[[_Backlog], float]) -> Caught:
    with _putting(backlog.endpoint) as took_s:
        caught_s = contender(backlog)
    return Caught(caught_s, quantiles(took_s, n=100)[98] if len(took_s) > 1 else 0.0)


def _ours(backlog: _Backlog) -> float:
    """Record what waits into a copy of the archive."""
    copy = backlog.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(backlog.folder / "archive", copy)
    place = Place({"ARCHIVE": f"file://{copy}"})
    with recording(backlog.endpoint, place, backlog.folder / "copy.log") as recorder:
        recorder.wait_for(backlog.last)
        return recorder.durable_at(backlog.last) - recorder.started_at


def _etcdctl(backlog: _Backlog) -> float:
    """Let etcdctl write what waits into a file."""
    output = backlog.folder / "watched"
    command = [
        find_etcd().with_name("etcdctl"),
        f"--endpoints={backlog.endpoint}",
        *("watch", "--prefix", "/apisix", f"--rev={backlog.after + 1}"),
    ]
    with output.open("wb") as file:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file)
        try:
            while not _tail(output).rstrip().endswith(_MARK):
                if time.perf_counter() - started > _PATIENCE_S:
                    raise RuntimeError("etcdctl doesn't get there")
                time.sleep(_POLL_S)
            return time.perf_counter() - started
        finally:
            process.kill()
            process.wait()


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 64))
        return file.read()


def _bare(watchers: int, backlog: _Backlog) -> float:
    command = (sys.executable, "-m", "benchmarks.watch", backlog.endpoint)
    return spend((*command, *map(str, (backlog.after, backlog.last, watchers)))).wall_s


@contextmanager
def _putting(endpoint: str) -> Iterator[list[float]]:
    """Put something elsewhere in etcd again and again; yield how long each took, in seconds."""
    took_s: list[float] = []
    ending = Event()

    def put() -> None:
        with channel_to(endpoint) as channel:
            kv = messages.KVStub(channel)
            while not ending.wait(_PUT_EACH_S):
                started = time.perf_counter()
                kv.Put(messages.PutRequest(key=b"/elsewhere", value=b"anything"))
                took_s.append(time.perf_counter() - started)

    thread = Thread(target=put, name="puts")
    thread.start()
    try:
        yield took_s
    finally:
        ending.set()
        thread.join()
