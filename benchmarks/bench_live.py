"""Recording under a steady load: does it keep pace, how late is durable, and what does it cost?"""

from __future__ import annotations

import sys
import time
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING

from benchmarks.load import edit_from_outside, fill
from benchmarks.processes import REPLICATOR, cpu_s, recording
from benchmarks.report import Curve, Fact, Figure
from benchmarks.shop import Shop
from replicator.adapters.etcd_server import EtcdServer, find_etcd
from replicator.core.names import log_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.ground import Ground, Place
    from benchmarks.load import Put
    from benchmarks.processes import Recorder
    from benchmarks.report import Finding

_PUTS_TIMED = 9
_PACE = 1.05
_PACE_FROM = 0.95
_P99_OF_INTERVAL = 1.3
_P99_PUTS = 3.0
_PERCENTS = tuple(range(1, 100))


@dataclass(frozen=True, slots=True)
class Way:
    """A way to record: how long a change may wait for others, and how far away the store is, in seconds."""

    interval_s: float
    delay_s: float

    def __str__(self) -> str:
        store = f", a store {1000 * self.delay_s:.0f} ms away" if self.delay_s else ""
        return f"flush_interval {self.interval_s:g}s{store}"


WAYS = (Way(1.0, 0.0), Way(1.0, 0.1), Way(0.0, 0.0), Way(0.0, 0.02), Way(0.0, 0.1))
"""The first is the default, and is measured for the longest time."""


@dataclass(frozen=True, slots=True)
class Loaded:
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

    def percentile_s(self, percent: int) -> float:
        """Return how late a change was durable that is later than *percent* of them."""
        return quantiles(self.lags_s, n=100)[percent - 1]


def measure(ground: Ground) -> Iterator[Finding]:
    """Yield whether it keeps pace and what it costs, then the delay of each way."""
    scale = ground.scale
    with EtcdServer(ground.folder / "etcd", find_etcd()) as etcd:
        fill(etcd.endpoint, Shop(scale.few_routes).items())
        for number, way in enumerate(WAYS):
            seconds = scale.load_s if number == 0 else max(1, scale.load_s // 5)
            loaded = _loaded(etcd.endpoint, ground, way, seconds)
            if number == 0:
                yield from _pace(loaded, scale.rate)
            yield from _delay(way, loaded)


def _loaded(endpoint: str, ground: Ground, way: Way, seconds: int) -> Loaded:
    place = ground.place(f"{way.interval_s}-{way.delay_s}")
    program = (sys.executable, "-m", "benchmarks.slowed", str(way.delay_s)) if way.delay_s else REPLICATOR
    log = ground.folder / "run.log"
    interval = f"{way.interval_s:g}s" if way.interval_s else "0"
    with recording(endpoint, place, log, program=program, CAPTURE_FLUSH_INTERVAL=interval) as recorder:
        cpu_before_s = cpu_s(recorder.pid)
        puts = edit_from_outside(endpoint, ground.scale.few_routes, ground.scale.rate, seconds)
        recorder.wait_for(puts[-1].revision)
        spent_s = cpu_s(recorder.pid) - cpu_before_s
        return _made_of(puts, recorder, spent_s, way.delay_s + _put_s(place))


def _made_of(puts: Sequence[Put], recorder: Recorder, spent_s: float, put_s: float) -> Loaded:
    durable = recorder.durable()
    started_at = puts[0].sent_at
    return Loaded(
        puts=len(puts),
        load_s=max(put.acked_at for put in puts) - started_at,
        durable_s=_durable_at(puts[-1].revision, durable) - started_at,
        lags_s=tuple(sorted(_durable_at(put.revision, durable) - put.acked_at for put in puts)),
        most_behind=_most_behind(puts, durable),
        cpu_s=spent_s,
        put_s=put_s,
    )


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


def _put_s(place: Place) -> float:
    """Return what it takes to store the newest segment once more, under other names."""
    store = place.store
    *_, newest = store.names(log_folder(1))
    body = store.get(newest)
    took_s = []
    for number in range(_PUTS_TIMED):
        started = time.perf_counter()
        store.create(f"timed/{number}", body)
        took_s.append(time.perf_counter() - started)
    return median(took_s)


def _pace(loaded: Loaded, rate: int) -> Iterator[Finding]:
    reached = loaded.puts / loaded.load_s
    yield Figure(
        what=f"live at {reached:,.0f} of {rate:,} puts/s for {loaded.load_s:.0f} s: until all is durable",
        against="the load's own time and a flush interval",
        ratio=loaded.durable_s / (loaded.load_s + WAYS[0].interval_s),
        target=_PACE
        if reached >= _PACE_FROM * rate
        else None,  # a load that this machine can't make says nothing
        measured=f"at most {loaded.most_behind:,} revisions behind",
    )
    yield Figure(
        what="the replicator's processor time",
        against="the load's time",
        ratio=loaded.cpu_s / loaded.load_s,
        measured=f"{loaded.cpu_s / loaded.puts * 1e6:.0f} µs for each change",
    )
    yield Fact(name="capture_cpu_us_per_change", value=loaded.cpu_s / loaded.puts * 1e6)


def _delay(way: Way, loaded: Loaded) -> Iterator[Finding]:
    floor_s = way.interval_s + loaded.put_s
    target = _P99_OF_INTERVAL if way.interval_s else _P99_PUTS if way.delay_s else None
    rate = loaded.puts / loaded.load_s
    for percent in (50, 99):
        late_s = loaded.percentile_s(percent)
        yield Figure(
            what=f"commit to durable, p{percent}, {way}",
            against="flush_interval and one PUT" if way.interval_s else "one PUT",
            ratio=late_s / floor_s,
            target=target if percent == 99 else None,
            measured=f"{1000 * late_s:.0f} ms at {rate:,.0f} puts/s; a PUT {1000 * loaded.put_s:.0f} ms",
        )
    points = tuple((1000 * loaded.percentile_s(percent), float(percent)) for percent in _PERCENTS)
    yield Curve(plot="latency", label=str(way), points=points)
