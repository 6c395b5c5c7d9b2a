"""The way through the log by names alone: merged objects where there are any, else segments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replicator.core.names import LogName, MergedName, PieceName


def path(merged: Iterable[MergedName], log: Iterable[LogName], since: int) -> Iterator[PieceName]:
    """Yield the pieces of an epoch that lead on from revision *since*, in order; *log* is read lazily.

    At each position it is the merged object that reaches farthest, else the segment that starts there. So

    - the first piece may begin before *since*, and a later one before the end of the one before it: what
      they hold of segments that start before the position is passed over by whoever reads them;
    - segments within a merged object aren't named, be they its sources or a stale writer's;
    - where a segment ends isn't told by its name: a stale writer's that starts within another one *is*
      named, and passed over by the reader likewise;
    - where nothing starts at a position, the next piece beyond is named: the reader meets a hole.

    Args:
        merged: All merged objects of the epoch, in any order.
        log: Its segments from *since* on, in order.
        since: Where a segment ends, as a snapshot does, and both kinds of piece.
    """
    spans, place, best = sorted(merged), 0, None
    names = iter(log)
    name, position = next(names, None), since
    while True:
        while name is not None and name.after < position:
            name = next(names, None)
        while place < len(spans) and spans[place].after <= position:
            best = spans[place] if best is None or spans[place].last > best.last else best
            place += 1
        if best is not None and best.last > position:
            yield best
            position = best.last
        elif name is not None and name.after == position:
            yield name
            position += 1
        else:
            starts = [start.after for start in (name, *spans[place : place + 1]) if start is not None]
            if not starts:
                return
            position = min(starts)
