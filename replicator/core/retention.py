"""What retention takes and what it leaves: arithmetic over names.

Within *full* every moment stays. What is older keeps the last snapshot of each UTC day until *daily*, and
what named points need. The newest snapshot, and all behind it, stay always.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.core.names import LogName

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date, datetime, timedelta

    from replicator.core.names import PieceName, SnapshotName
    from replicator.core.plan import Span


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """How long every moment is kept, and how long one snapshot a day behind that; None for not at all."""

    full: timedelta
    daily: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the store holds of one epoch.

    Attributes:
        span: The epoch.
        snapshots: Those that count and are whole, by revision.
        pieces: All segments and merged objects.
        points: Revisions of the named points in it.
    """

    span: Span
    snapshots: tuple[SnapshotName, ...]
    pieces: tuple[PieceName, ...]
    points: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Thinning:
    """What retention does to one epoch.

    Attributes:
        epoch: Its number.
        through: What lies before this revision is thinned; 0 for nothing.
        snapshots: Those that go.
        pieces: The pieces of the log that go.
        carriers: The snapshots that stay and that more depends on than before: before this revision each
            stands for itself, and the first behind it carries all that follows.
    """

    epoch: int
    through: int
    snapshots: tuple[SnapshotName, ...]
    pieces: tuple[PieceName, ...]
    carriers: tuple[SnapshotName, ...]


def thin(archive: Sequence[Holdings], rule: RetentionRule, now: datetime) -> list[Thinning]:
    """Return what goes of each epoch of *archive*, which are in order, if it is *now* (aware, UTC)."""
    days: dict[date, SnapshotName] = {}
    for name in (name for holdings in archive for name in holdings.snapshots):
        days[name.observed_at.date()] = name
    daily = {
        name for name in days.values() if rule.daily is not None and name.observed_at >= now - rule.daily
    }
    return [_thin(holdings, now - rule.full, daily) for holdings in archive]


def _thin(holdings: Holdings, border: datetime, daily: set[SnapshotName]) -> Thinning:
    through = _through(holdings, border)
    ranges = list(_needed(holdings))
    kept = daily | {first for first, _ in ranges}
    old = [name for name in holdings.snapshots if name.revision < through]
    later = [name for name in holdings.snapshots if name.revision >= through]
    return Thinning(
        epoch=holdings.span.epoch.epoch,
        through=through,
        snapshots=tuple(name for name in old if name not in kept),
        pieces=tuple(
            name
            for name in holdings.pieces
            if _is_before(name, through)
            and not any(_leads(name, first.revision, point) for first, point in ranges)
        ),
        carriers=(*(name for name in old if name in kept), *later[:1]),
    )


def _through(holdings: Holdings, border: datetime) -> int:
    """Return before which revision of its epoch no moment at or after *border* needs anything."""
    end = holdings.span.end
    if end is not None and end.observed_through < border:
        return end.position.revision + 1
    before = [name.revision for name in holdings.snapshots if name.observed_at <= border]
    return max(before, default=0)


def _needed(holdings: Holdings) -> Iterator[tuple[SnapshotName, int]]:
    """Yield for each point the snapshot at or before it, and its revision: all between them is needed."""
    for point in holdings.points:
        before = [name for name in holdings.snapshots if name.revision <= point]
        if before:
            yield before[-1], point


def _is_before(name: PieceName, revision: int) -> bool:
    """Tell whether all that *name* holds lies before *revision*, where a segment ends."""
    return name.after < revision if isinstance(name, LogName) else name.last <= revision


def _leads(name: PieceName, first: int, point: int) -> bool:
    """Tell whether *name* holds something of the way from revision *first* to *point*."""
    last = name.after + 1 if isinstance(name, LogName) else name.last
    return last > first and name.after < point
