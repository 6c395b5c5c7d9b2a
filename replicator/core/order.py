"""What a segment promises of revisions and times beside its digest."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from replicator.core.objects import Segment, SegmentFooter, SnapshotFooter


def disorder(
    before: SegmentFooter | SnapshotFooter, observed_at: datetime, segment: Segment
) -> Iterator[str]:
    """Yield what is wrong with the stamps and the watermarks of *segment*.

    Args:
        before: Footer of the object before it.
        observed_at: Stamp of the revision before it.
        segment: A segment that was read whole.
    """
    footer, batches = segment.footer, segment.batches
    stamps = [max(observed_at, before.observed_through), *(batch.observed_at for batch in batches)]
    if any(later <= earlier for earlier, later in pairwise(stamps)):
        yield "its stamps don't strictly rise"
    if batches and batches[0].revision <= before.through_revision:
        yield "it has a revision where the object before it says that nothing happened"
    if footer.observed_at != stamps[-1]:
        yield "its footer has another stamp than its last revision"
    if footer.through_revision < footer.last_revision or footer.observed_through < footer.observed_at:
        yield "its watermark lies before its last revision"
    windows = [batch.window for batch in batches if batch.window is not None]
    if any(window.not_after < window.not_before for window in windows):
        yield "it has a window that ends before it begins"
