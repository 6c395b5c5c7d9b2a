"""What a year of changes weighs in the store: log and snapshots, against gzip of the raw events."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from benchmarks.history import BEGUN_AT, History
from benchmarks.report import Curve, Fact, Figure
from benchmarks.shop import Shop
from replicator.adapters.directory import DirectoryStore
from replicator.core.names import log_folder, merged_folder, snapshot_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.ground import Ground
    from benchmarks.report import Finding
    from benchmarks.shop import KeyValue

_TARGET = 0.7
_DAYS_A_YEAR = 250  # of work
_MONTH_DAYS = 20
_BURSTS_A_DAY, _BURST = 10, 5
_BEGIN_H, _PAUSE, _EACH = 8, timedelta(minutes=20), timedelta(seconds=2)
_SCHEDULES = {
    "snapshot.cron_spec @every 1m, the default": "@every 1m",
    "snapshot.cron_spec @hourly": "@hourly",
    "snapshots by the weight of the tail alone": "@yearly",
}


@dataclass(frozen=True, slots=True)
class Weighed:
    """Bytes of what was stored for so many *events* of so many *keys*, and of gzip's answer to the same."""

    events: int
    keys: int
    log_bytes: int
    snapshot_bytes: int
    snapshots: int
    gzip_bytes: int


def measure(ground: Ground) -> Iterator[Finding]:
    """Yield the default, other schedules, and the log alone.

    A month is written and weighed; a year of working days is so many of those.
    """
    routes, days = (
        max(1, ground.scale.few_routes // 10),
        max(1, min(_MONTH_DAYS, ground.scale.events // 10_000)),
    )
    year = f"a year of {_BURSTS_A_DAY} times {_BURST} changes a working day, {routes:,} routes"
    for number, (name, schedule) in enumerate(_SCHEDULES.items()):
        weighed = _weighed(ground.folder / str(number), routes, days, schedule)
        stored = weighed.log_bytes + weighed.snapshot_bytes
        yield _figure(f"stored for {year}; {name}", weighed, stored, _TARGET if number == 0 else None)
        yearly = stored * _DAYS_A_YEAR / days
        per_event = weighed.log_bytes / weighed.events, weighed.snapshot_bytes / weighed.events
        yield Curve(plot="storage", label=name, points=(per_event,))
        yield Fact(name=f"stored_bytes_a_year {schedule}", value=yearly)
        if number == 0:
            yield _figure(f"stored for {year}; the log alone", weighed, weighed.log_bytes, None)
            yield Fact(name="log_bytes_per_change", value=weighed.log_bytes / weighed.events)
            key_bytes = weighed.snapshot_bytes / weighed.snapshots / weighed.keys
            yield Fact(name="snapshot_bytes_per_key", value=key_bytes)


def _figure(what: str, weighed: Weighed, stored: int, target: float | None) -> Figure:
    return Figure(
        what=what,
        against="gzip of the raw events",
        ratio=stored / weighed.gzip_bytes,
        target=target,
        measured=f"{stored / weighed.events:,.0f} B an event, {weighed.snapshots} snapshots for "
        f"{weighed.events:,} events; gzip {weighed.gzip_bytes / weighed.events:,.0f} B an event",
    )


def _weighed(archive: Path, routes: int, days: int, schedule: str) -> Weighed:
    """Write so many working days with that schedule, merged as a capture merges, and weigh them."""
    shop, store, raw = Shop(routes), DirectoryStore(archive), _Raw()
    history, changes = History(store, shop.items(), schedule), shop.changes()
    for day in range(days):
        history.clock.moment = BEGUN_AT + timedelta(days=day, hours=_BEGIN_H)
        for place in range(_BURSTS_A_DAY * _BURST):
            if place % _BURST == 0:
                history.clock.sleep(_PAUSE.total_seconds())
            change = next(changes)
            history.record([change], _EACH)
            raw.take(history.state.revision, history.clock.moment.isoformat(), change)
        history.tidy()
    snapshots = _sizes(archive / snapshot_folder(1))[1:]  # the base belongs to no year
    log = _sizes(archive / log_folder(1)) + _sizes(archive / merged_folder(1))
    events = days * _BURSTS_A_DAY * _BURST
    return Weighed(events, len(history.state), sum(log), sum(snapshots), len(snapshots), raw.close())


def _sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in sorted(folder.glob("*"))]


class _Raw:
    """Gzip over a JSON line for each event, as one stream."""

    def __init__(self) -> None:
        self._gzip = zlib.compressobj(wbits=31)
        self._size_bytes = 0

    def take(self, revision: int, moment: str, change: KeyValue) -> None:
        """Take in one event."""
        key, value = change
        line = {"revision": revision, "time": moment, "key": key.decode(), "value": msgspec.Raw(value)}
        self._size_bytes += len(self._gzip.compress(msgspec.json.encode(line) + b"\n"))

    def close(self) -> int:
        """Return the size of it all."""
        return self._size_bytes + len(self._gzip.flush())
