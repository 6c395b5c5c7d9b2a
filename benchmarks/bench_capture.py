"""Recording under a steady load: does it keep pace, how late is durable, and what does it cost?"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING

from benchmarks.load import edit_from_outside, fill
from benchmarks.processes import cpu_s, recording
from benchmarks.report import Figure
from benchmarks.rounds import ratio
from benchmarks.shop import Shop
from replicator.adapters.directory import DirectoryStore
from replicator.adapters.etcd_server import EtcdServer, find_etcd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.load import Put
    from benchmarks.processes import Recorder
    from benchmarks.rounds import Scale

_RATE = 5_000
_ROUTES = 10_000
_FLUSH_INTERVAL_S = 1.0  # the default
_PUTS_TIMED = 5
_PACE = 1.05
_PACE_FROM = 0.95


@dataclass(frozen=True, slots=True)
class Round:
    """One load, and what the replicator made of it.

    Attributes:
        puts: How many it were.
        load_s: From the first put to the last acknowledgement.
        durable_s: From the first put until all was durable.
        lags_s: From each acknowledgement until that revision was durable, in order of size.
        most_behind: The most revisions that etcd had and the archive had not.
        cpu_s: Processor time of the replicator.
        put_s: What one create of a segment of this load takes in this store.
    """

    puts: int
    load_s: float
    durable_s: float
    lags_s: tuple[float, ...]
    most_behind: int
    cpu_s: float
    put_s: float


def measure(scale: Scale, folder: Path) -> Iterator[Figure]:
    """Yield whether it keeps pace, then its delay, then its cost."""
    with EtcdServer(folder / "etcd", find_etcd()) as etcd:
        fill(etcd.endpoint, Shop(_ROUTES).items())
        with recording(etcd.endpoint, folder / "archive") as recorder:
            rounds = [_round(etcd.endpoint, recorder, folder, scale) for _ in range(scale.rounds)]
    yield from _figures(rounds)


def _round(endpoint: str, recorder: Recorder, folder: Path, scale: Scale) -> Round:
    cpu_before_s = cpu_s(recorder.pid)
    puts = edit_from_outside(endpoint, _ROUTES, _RATE, scale.load_s)
    recorder.wait_for(puts[-1].revision)
    spent_s = cpu_s(recorder.pid) - cpu_before_s
    durable = recorder.durable()
    lags_s = sorted(_lags_s(puts, durable))
    started_at = puts[0].sent_at
    return Round(
        puts=len(puts),
        load_s=max(put.acked_at for put in puts) - started_at,
        durable_s=_durable_at(puts[-1].revision, durable) - started_at,
        lags_s=tuple(lags_s),
        most_behind=_most_behind(puts, durable),
        cpu_s=spent_s,
        put_s=_put_s(folder),
    )


def _lags_s(puts: Sequence[Put], durable: Sequence[tuple[float, int]]) -> list[float]:
    return [_durable_at(put.revision, durable) - put.acked_at for put in puts]


def _durable_at(revision: int, durable: Sequence[tuple[float, int]]) -> float:
    return durable[bisect_left(durable, revision, key=lambda segment: segment[1])][0]


def _most_behind(puts: Sequence[Put], durable: Sequence[tuple[float, int]]) -> int:
    """Return the largest backlog: it peaks right before a segment becomes durable."""
    acked_at = sorted(put.acked_at for put in puts)
    first = puts[0].revision
    before = first - 1
    most = 0
    for moment, revision in durable:
        if revision < first:
            continue
        most = max(most, bisect_right(acked_at, moment) - (before - first + 1))
        before = revision
    return most


def _put_s(folder: Path) -> float:
    """Return what it takes to store the newest segment once more, under other names."""
    newest = max((folder / "archive").glob("e*/log/*"))
    body = newest.read_bytes()
    store = DirectoryStore(folder / "puts")
    took_s = []
    for _ in range(_PUTS_TIMED):
        started = time.perf_counter()
        store.create(f"{time.time_ns()}", body)
        took_s.append(time.perf_counter() - started)
    return median(took_s)


def _figures(rounds: list[Round]) -> Iterator[Figure]:
    loads_s = [one.load_s for one in rounds]
    rate = median(one.puts / one.load_s for one in rounds)
    yield Figure(
        what=f"live at {rate:,.0f} of {_RATE:,} puts/s: until all is durable",
        against="the load's own time and a flush interval",
        ratio=ratio([one.durable_s for one in rounds], [load_s + _FLUSH_INTERVAL_S for load_s in loads_s]),
        target=_PACE
        if rate >= _PACE_FROM * _RATE
        else None,  # a load that this machine can't make says nothing
        measured=f"{median(loads_s):.1f} s of load; at most {max(one.most_behind for one in rounds):,} "
        "revisions behind",
    )
    for percent in (50, 99):
        lags_s = [quantiles(one.lags_s, n=100)[percent - 1] for one in rounds]
        yield Figure(
            what=f"commit to durable, p{percent}",
            against="a flush interval and one PUT",
            ratio=ratio(lags_s, [_FLUSH_INTERVAL_S + one.put_s for one in rounds]),
            measured=f"{median(lags_s):.2f} s; a PUT {median(one.put_s for one in rounds):.3f} s",
        )
    yield Figure(
        what="the replicator's processor time",
        against="the load's time",
        ratio=ratio([one.cpu_s for one in rounds], loads_s),
        measured=f"{median(one.cpu_s / one.puts for one in rounds) * 1e6:.0f} µs for each change",
    )
