"""When did it happen? etcd keeps no time, so we stamp: live by our clock, late by evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from replicator.core.records import Batch, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replicator.core.records import Event

# etcd's revision with its events, not yet stamped.
Unstamped = tuple[int, tuple["Event", ...]]

_TICK = timedelta(microseconds=1)
_UPDATE_TIME_RESOLUTION = timedelta(seconds=1)


class Stamper:
    """Gives out stamps that always rise, also over a clock that steps back and over changes of writer.

    Args:
        last: The latest stamp or watermark that the archive holds.
    """

    def __init__(self, last: datetime) -> None:
        self.last = last

    def live(self, revisions: Sequence[Unstamped], now: datetime) -> list[Batch]:
        """Return *revisions* as batches that were seen as they were committed, at *now*."""
        return [Batch(revision, self._rise(now), events) for revision, events in revisions]

    def late(self, revisions: Sequence[Unstamped], window: Window) -> list[Batch]:
        """Return *revisions*, which arrived together, as batches that were committed within *window*.

        Each is placed at the latest moment that it can have been committed as far as we know: at the
        `update_time` in its values, or not after what follows it, or at the window's end.
        """
        moments = _latest_moments([events for _, events in revisions], window)
        return [
            Batch(revision, self._rise(moment), events, window)
            for (revision, events), moment in zip(revisions, moments, strict=True)
        ]

    def observed(self, moment: datetime) -> datetime:
        """Return the watermark for a source that was seen whole at *moment*; no later stamp is below it."""
        self.last = max(self.last, moment)
        return self.last

    def _rise(self, moment: datetime) -> datetime:
        self.last = max(moment, self.last + _TICK)
        return self.last


class _Updated(msgspec.Struct):
    update_time: int | float | None = None


_updated = msgspec.json.Decoder(_Updated)


def update_time(events: Iterable[Event]) -> datetime | None:
    """Return the newest `update_time` in the values of *events*, or None; APISIX writes whole seconds."""
    newest = None
    for event in events:  # plainly: a catch-up comes here for each change
        told = None if event.record is None else _seconds(event.record.value)
        if told is not None and (newest is None or told > newest):
            newest = told
    if newest is None:
        return None
    try:
        return datetime.fromtimestamp(newest, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _seconds(value: bytes) -> float | None:
    try:
        return _updated.decode(value).update_time
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _latest_moments(deliveries: Sequence[tuple[Event, ...]], window: Window) -> list[datetime]:
    """Return for each the latest moment that its own evidence and its successors' leave."""
    latest = window.not_after
    moments = []
    for told in reversed(_evidence(deliveries, window)):
        latest = min(latest, told or latest)
        moments.append(max(latest, window.not_before))
    return moments[::-1]


def _evidence(deliveries: Sequence[tuple[Event, ...]], window: Window) -> list[datetime | None]:
    """Return the `update_time` of each that can be its commit's: a value put back has an older one."""
    evidence = []
    earliest = window.not_before - _UPDATE_TIME_RESOLUTION
    for events in deliveries:
        told = update_time(events)
        if told is not None and not earliest <= told <= window.not_after:
            told = None
        earliest = told or earliest
        evidence.append(told)
    return evidence
