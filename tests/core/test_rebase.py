"""What several writers have sealed, side by side, joined into one history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from replicator.core.objects import Header, Segment, SegmentFooter
from replicator.core.rebase import beyond
from replicator.core.records import Batch, Event, Record

_START = datetime(2026, 1, 1, tzinfo=UTC)


def segment(after: int, last: int) -> Segment:
    """Return the segment of revisions *after* + 1 to *last*, each stamped with its second."""
    batches = tuple(
        Batch(
            revision,
            _START + timedelta(seconds=revision),
            (Event(b"/a", Record(b"%d" % revision, 1, revision, revision, 0)),),
        )
        for revision in range(after + 1, last + 1)
    )
    moment = batches[-1].observed_at
    footer = SegmentFooter(
        events=len(batches),
        last_revision=last,
        through_revision=last,
        observed_at=moment,
        observed_through=moment,
        state_digest="",
        previous="",
    )
    return Segment(
        Header(kind="segment", archive_id="a", epoch=1, revision=after, writer="w"), batches, footer, ""
    )


@st.composite
def chains(draw: st.DrawFn) -> list[Segment]:
    """Return segments of up to three writers over one history, as a recovery sorts and keeps them."""
    end = draw(st.integers(2, 30))
    found = []
    for _ in range(draw(st.integers(1, 3))):
        cuts = sorted(draw(st.sets(st.integers(0, end), min_size=2, max_size=6)))
        found += [segment(one, other) for one, other in pairwise(cuts)]
    kept, reached = [], 0
    for each in sorted(found, key=lambda each: (each.header.revision, -each.footer.last_revision)):
        if each.header.revision <= reached < each.footer.last_revision:
            kept.append(each)
            reached = each.footer.last_revision
    return kept


@given(chains(), st.integers(0, 30), st.integers(0, 40))
def test_each_revision_comes_once_and_in_order(found: list[Segment], revision: int, seconds: int) -> None:
    batches = beyond(found, revision, _START + timedelta(seconds=seconds))
    last = found[-1].footer.last_revision if found else 0
    assert [batch.revision for batch in batches] == list(range(revision + 1, last + 1))
    stamps = [_START + timedelta(seconds=seconds), *(batch.observed_at for batch in batches)]
    assert all(earlier < later for earlier, later in pairwise(stamps))
