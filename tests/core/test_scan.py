"""What is found by searching is what reading all of it finds, wherever the text is cut."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from generators import START, histories
from hypothesis import given
from hypothesis import strategies as st

from replicator.core import frame, scan
from replicator.core.merged import decode_piece, encode_merged, merged_name
from replicator.core.names import LogName, SnapshotName
from replicator.core.objects import Header, SegmentFooter, SnapshotFooter, encode_segment, encode_snapshot
from replicator.core.records import Batch
from replicator.core.scan import Selection, scan_piece, scan_snapshot
from replicator.core.state import State
from replicator.errors import ArchiveDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNKS = st.sampled_from([1, 7, 64, 300, 1 << 20])
SELECTIONS = st.one_of(
    st.just(Selection(b"")),
    st.sampled_from([b"/apisix/a", b"/apisix/", b"/apisix/\xff"]).map(Selection),
    st.sampled_from([b"/apisix/a", b"/apisix/b", b"/apisix/\xff", b"nothing"]).map(
        lambda key: Selection(key, is_whole=True)
    ),
)


@pytest.fixture(autouse=True)
def _chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test set how large a chunk is, and nobody else feel it."""
    monkeypatch.setattr(frame, "_CHUNK_BYTES", 1 << 20)


def segments(batches: list[Batch], cuts: list[int]) -> Iterator[tuple[LogName, bytes]]:
    """Yield *batches* as segments that are cut behind each of *cuts*, each the next one's predecessor."""
    previous, after = "0" * 64, 1
    edges = sorted({0, len(batches), *(cut % (len(batches) + 1) for cut in cuts)})
    for begin, end in pairwise(edges):
        part, last = batches[begin:end], batches[end - 1]
        footer = SegmentFooter(
            events=sum(len(batch.events) for batch in part),
            last_revision=last.revision,
            through_revision=last.revision,
            observed_at=last.observed_at,
            observed_through=last.observed_at,
            state_digest="0" * 64,
            previous=previous,
        )
        header = Header(kind="segment", archive_id="a", epoch=1, revision=after, writer="w")
        body = encode_segment(header, part, footer)
        yield LogName(1, after), body
        previous, after = frame.digest_of(body), last.revision


@given(histories, st.lists(st.integers(0, 50), max_size=4), SELECTIONS, CHUNKS)
def test_a_search_finds_what_reading_finds(history, cuts, selection, chunk_bytes) -> None:
    batches = [
        Batch(revision, START + timedelta(seconds=revision), events) for revision, events in history.history
    ]
    if not batches:
        return
    frame._CHUNK_BYTES = chunk_bytes
    pieces = list(segments(batches, cuts))
    whole = [segment for name, body in pieces for segment in decode_piece(body, name)]
    merged = merged_name(whole)
    pieces.append((merged, encode_merged(whole, "w", START)))
    for name, body in pieces:
        read = decode_piece(body, name)
        found = scan_piece(body, name, selection, "a")
        assert found.batches == tuple(
            batch
            for segment in read
            for batch in segment.batches
            if any(selection.holds(event.key) for event in batch.events)
        )
        assert (found.last, found.ended_at) == (read[-1].footer.last_revision, read[-1].footer.observed_at)
        assert (found.previous, found.anchor) == (read[0].footer.previous, read[-1].digest)


@given(histories, SELECTIONS, CHUNKS)
def test_a_snapshot_is_searched_alike(history, selection, chunk_bytes) -> None:
    revision = max(history.states)
    state = State(revision)
    for key, record in history.states[revision].items():
        state.add(key, record)
    frame._CHUNK_BYTES = chunk_bytes
    footer = SnapshotFooter(
        keys=len(state),
        through_revision=revision,
        observed_through=START,
        state_digest=state.digest,
        segment="f" * 64,
    )
    header = Header(kind="snapshot", archive_id="a", epoch=1, revision=revision, writer="w")
    body = encode_snapshot(header, state, footer)
    held, anchor = scan_snapshot(body, SnapshotName(1, revision, START), selection, "a")
    assert held == {key: record for key, record in state.items() if selection.holds(key)}
    assert anchor == "f" * 64


lines = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 60)), max_size=20)


@given(lines, st.lists(st.integers(1, 200), max_size=12))
def test_no_region_cuts_a_line_or_a_revision(made, sizes) -> None:
    numbers = [number for number, _ in sorted(made)]
    text = b'{"kind":"segment"}\n'
    text += b"".join(
        b'{"mod_revision":%d,"v":"%b"}\n' % (number, b"x" * size) for number, size in sorted(made)
    )
    text += b'{"events":0}\n'
    chunks, rest = [], text
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    regions = [part[begin:end] for part, begin, end in scan._regions([*chunks, rest])]
    assert b"".join(regions) == text
    seen = [scan._revision(line) for region in regions for line in region.splitlines(keepends=True)]
    assert [number for number in seen if number] == numbers
    for one, other in pairwise([region for region in regions if region]):
        last, first = (scan._revision(one.splitlines()[-1]), scan._revision(other.splitlines()[0]))
        assert last is None or last != first


def test_what_is_under_another_name_is_damage() -> None:
    batch = Batch(2, START, ())
    ((name, body),) = segments([batch], [])
    for other in (LogName(1, 9), LogName(2, 1)):
        with pytest.raises(ArchiveDamaged, match="holds another object"):
            scan_piece(body, other, Selection(b""), "a")
    with pytest.raises(ArchiveDamaged, match="holds another object"):
        scan_piece(body, name, Selection(b""), "b")


@given(histories, SELECTIONS, CHUNKS, st.data())
def test_whatever_the_text_is_the_answer_is_an_answer_or_damage(
    history, selection, chunk_bytes, data
) -> None:
    batches = [Batch(revision, START, events) for revision, events in history.history]
    if not batches:
        return
    frame._CHUNK_BYTES = 1 << 20
    pieces = list(segments(batches, [1]))
    whole = [segment for name, body in pieces for segment in decode_piece(body, name)]
    merged = merged_name(whole)
    pieces.append((merged, encode_merged(whole, "w", START)))
    name, body = data.draw(st.sampled_from(pieces))
    text = bytearray(b"".join(frame.unpack(body, str(name))))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "newline", "drop"]))
        if kind == "flip":
            text[place] ^= data.draw(st.integers(1, 255))
        elif kind == "newline":
            text.insert(place, 10)
        elif kind == "drop":
            del text[place]
        else:
            del text[place:]
        if not text:
            text += b"x"
    hostile = frame.pack([bytes(text)])
    frame._CHUNK_BYTES = chunk_bytes
    with suppress(ArchiveDamaged):
        scan_piece(hostile, name, selection, "a")
