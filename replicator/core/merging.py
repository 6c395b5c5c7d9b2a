"""Which pieces of a log become one object next: arithmetic over names.

A run of small segments is merged as soon as a snapshot lies behind it, and takes the merged objects before
it along as long as they are no larger than what follows them. So each merging at least doubles what it
rewrites, nothing is rewritten more often than the logarithm of the number of segments says, and about as many
objects are left.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from replicator.core.names import LogName, MergedName

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from replicator.core.names import PieceName


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a merged object may become.

    Attributes:
        segments: Of how many segments at most.
        text_bytes: Of about how much text, before compression; so much is held in memory for it.
    """

    segments: int = 10_000
    text_bytes: int = 64 << 20


def closed(path: Sequence[PieceName], through: int) -> list[PieceName]:
    """Return the pieces of *path*, one epoch's, that end at or before revision *through*.

    Args:
        path: As `replicator.core.pieces.path` yields them.
        through: The newest snapshot's revision, or that of the epoch's end: a segment ends there.
    """
    ends = [
        piece.last if isinstance(piece, MergedName) else following.after
        for piece, following in pairwise(path)
    ]
    if path:
        ends.append(path[-1].last if isinstance(path[-1], MergedName) else through)
    return [piece for piece, end in zip(path, ends, strict=True) if end <= through and piece.after < through]


def next_run(
    pieces: Sequence[PieceName], least: int, most: int, barred: Collection[PieceName]
) -> list[PieceName]:
    """Return the next pieces to be merged, at least two of them, or none.

    Args:
        pieces: The closed ones of an epoch.
        least: How many small segments must stand together before they are worth it.
        most: How many of them are taken at once.
        barred: What has been found too large to be merged with what follows it, or not to be followed by it.
    """
    for start, length in _small_groups(pieces, barred):
        small = min(length, most)
        if small < least:
            continue
        run = list(pieces[start : start + small])
        if small < most:
            end = pieces[start + small].after if start + small < len(pieces) else run[-1].after + 1
            run = [*_taken_along(pieces[:start], end, barred), *run]
        if len(run) > 1:
            return run
    return []


def _small_groups(pieces: Sequence[PieceName], barred: Collection[PieceName]) -> Iterator[tuple[int, int]]:
    """Yield where each run of small segments begins, and how many they are."""
    start = 0
    for is_small, group in groupby(pieces, lambda name: isinstance(name, LogName) and name not in barred):
        length = sum(1 for _ in group)
        if is_small:
            yield start, length
        start += length


def _taken_along(before: Sequence[PieceName], end: int, barred: Collection[PieceName]) -> list[PieceName]:
    """Return the merged objects right before a run up to *end* that are no larger than what follows them."""
    taken: list[PieceName] = []
    for piece in reversed(before):
        if (
            not isinstance(piece, MergedName)
            or piece in barred
            or piece.last - piece.after > end - piece.last
        ):
            break
        taken.insert(0, piece)
    return taken
