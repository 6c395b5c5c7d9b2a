"""A gap as commands show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from replicator.core.quantities import format_time, human_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.core.documents import Gap
    from replicator.flows.gaps import KnownGap


class GapLine(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--json`` says of a gap; the counts are None where the archive has no record of it.

    Attributes:
        epoch: The epoch that follows it, by which it is named.
        reason: Why it is there.
        after_revision: The last revision that is known before it.
        before_revision: The revision at which it ends.
        begins_at: Until this moment everything is known. RFC 3339.
        ends_at: From this moment on everything is known again.
        seconds: The time between the two.
        created: How many keys are there after it that were not before.
        updated: How many keys are on both sides, and not the same.
        deleted: How many keys are no longer there.
        same_value: How many of the updated hold the same bytes on both sides.
        acknowledged_at: When somebody took note of it; None until then.
        note: What they had to say.
    """

    epoch: int
    reason: str
    after_revision: int
    before_revision: int
    begins_at: str
    ends_at: str
    seconds: float
    created: int | None
    updated: int | None
    deleted: int | None
    same_value: int | None
    acknowledged_at: str | None
    note: str | None


def gap_line(gap: KnownGap) -> GapLine:
    """Return what ``--json`` says of *gap*."""
    epoch, counts, acknowledged = gap.epoch, gap.epoch.gap, gap.acknowledged
    return GapLine(
        epoch=epoch.epoch,
        reason=epoch.reason,
        after_revision=gap.follows.through_revision,
        before_revision=epoch.base,
        begins_at=format_time(gap.follows.observed_through),
        ends_at=format_time(epoch.observed_at),
        seconds=gap.length.total_seconds(),
        created=counts.created if counts else None,
        updated=counts.updated if counts else None,
        deleted=counts.deleted if counts else None,
        same_value=counts.same_value if counts else None,
        acknowledged_at=format_time(acknowledged.acknowledged_at) if acknowledged else None,
        note=acknowledged.note if acknowledged else None,
    )


def gap_words(gap: KnownGap) -> Iterator[str]:
    """Yield the lines for people."""
    epoch, length = gap.epoch, human_duration(gap.length.total_seconds())
    yield f"gap of {length} before epoch {epoch.epoch} ({epoch.reason}): nobody recorded what happened"
    if epoch.gap is not None:
        yield f"  across it  {_counts(epoch.gap)}"
    if gap.acknowledged is None:
        yield f"  open       replicator gap ack {epoch.epoch}  (once somebody has looked)"
    else:
        note = f": {gap.acknowledged.note}" if gap.acknowledged.note else ""
        yield f"  seen       acknowledged {format_time(gap.acknowledged.acknowledged_at)}{note}"


def _counts(gap: Gap) -> str:
    same = f" ({gap.same_value} with the same value)" if gap.same_value else ""
    return f"{gap.created} keys created, {gap.updated} updated{same}, {gap.deleted} deleted"
