"""Put what was sealed earlier behind where the log ends now: joined, chained on, and stamped later."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from replicator.core.objects import SegmentFooter
from replicator.core.records import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from replicator.core.objects import Segment
    from replicator.core.records import Batch

_TICK = timedelta(microseconds=1)


def beyond(segments: Iterable[Segment], revision: int, moment: datetime) -> tuple[Batch, ...]:
    """Return all batches of *segments* after *revision*, each stamped later than *moment* and the one before.

    Segments of several writers may overlap: each revision is returned once.

    A stamp that fits stays. One that doesn't (another writer went on in between, whose watermark says that
    nothing had happened by then) is moved behind, and marked as late by as much.
    """
    batches = chain.from_iterable(segment.batches for segment in segments)
    return tuple(_rising(_after(batches, revision), moment))


def joined(segments: Sequence[Segment], batches: tuple[Batch, ...], previous: str) -> SegmentFooter:
    """Return the footer of one segment that holds *batches*, the last of which ends *segments*.

    Args:
        segments: In order, without a hole; at least one.
        batches: What `beyond` left of them; at least one.
        previous: SHA-256 of the segment that they now follow.
    """
    end, last = segments[-1].footer, batches[-1]
    return SegmentFooter(
        events=sum(len(batch.events) for batch in batches),
        last_revision=last.revision,
        through_revision=end.through_revision,
        observed_at=last.observed_at,
        observed_through=max(end.observed_through, last.observed_at),
        state_digest=end.state_digest,
        previous=previous,
    )


def _after(batches: Iterable[Batch], revision: int) -> Iterator[Batch]:
    for batch in batches:
        if batch.revision > revision:
            yield batch
            revision = batch.revision


def _rising(batches: Iterable[Batch], moment: datetime) -> Iterator[Batch]:
    for batch in batches:
        if batch.observed_at > moment:
            moment = batch.observed_at
            yield batch
            continue
        window = batch.window or Window(batch.observed_at, batch.observed_at)
        moment += _TICK
        later = max(window.not_after, moment)
        yield msgspec.structs.replace(batch, observed_at=moment, window=Window(window.not_before, later))
