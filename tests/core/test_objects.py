"""Segments and snapshots: exact for any history, and any damage to them is told, never restored."""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import pytest
from damage import damaged
from etcd_model import EtcdModel
from generators import START, histories, keys, records, stamped
from hypothesis import assume, given
from hypothesis import strategies as st

from replicator.core import frame, objects
from replicator.core.objects import Header, SegmentFooter, SnapshotFooter
from replicator.core.records import Batch, Event, Record, Window
from replicator.core.state import State, digest_of
from replicator.errors import ArchiveDamaged

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

windows = st.none() | st.just(Window(START, START + timedelta(seconds=3)))


def header(kind: objects.Kind, revision: int) -> Header:
    """Return a header of some archive."""
    return Header(kind=kind, archive_id="a", epoch=1, revision=revision, writer="w")


def footer(batches: list[Batch], state_digest: str = "") -> SegmentFooter:
    """Return the footer that fits *batches*, which begin with an empty state."""
    last = batches[-1]
    return SegmentFooter(
        events=sum(len(batch.events) for batch in batches),
        last_revision=last.revision,
        through_revision=last.revision + 1,
        observed_at=last.observed_at,
        observed_through=last.observed_at + timedelta(seconds=1),
        state_digest=state_digest,
        previous="p",
    )


def state_of(revision: int, held: dict[bytes, Record]) -> State:
    """Return the state that holds *held*."""
    state = State(revision)
    for key, record in held.items():
        state.add(key, record)
    return state


def snapshot_of(revision: int, held: dict[bytes, Record], window: Window | None = None) -> bytes:
    """Return a snapshot of the state that holds *held*."""
    state = state_of(revision, held)
    footer = SnapshotFooter(
        keys=len(held),
        through_revision=revision + 1,
        observed_through=START,
        state_digest=state.digest,
        segment="s",
        window=window,
    )
    return objects.encode_snapshot(header("snapshot", revision), state, footer)


def some_segment() -> bytes:
    """Return a small segment with each kind of line."""
    model = EtcdModel()
    model.put(b"/a", b'{"id":1}')
    model.transact([(b"/b", b"text", 7), (b"/c\xff", b"\xff", 0)])
    model.expire(7)
    batches = stamped(model.history)
    return objects.encode_segment(
        header("segment", 1), batches, footer(batches, digest_of(model.states[4].items()))
    )


def some_snapshot() -> bytes:
    """Return a small snapshot with each kind of line."""
    held = {b"/a": Record(b'{"id":1}', 2, 2, 1, 0), b"/c\xff": Record(b"\xff", 3, 3, 1, 0)}
    return snapshot_of(4, held)


@given(histories, windows)
def test_a_segment_comes_back_exactly(history, window) -> None:
    assume(history.history)
    batches = [
        Batch(live.revision, live.observed_at, live.events, window) for live in stamped(history.history)
    ]
    body = objects.encode_segment(header("segment", 1), batches, footer(batches))
    segment = objects.decode_segment(body, "x")
    assert (header("segment", 1), tuple(batches), footer(batches)) == (
        segment.header,
        segment.batches,
        segment.footer,
    )
    assert frame.digest_of(body) == segment.digest


@given(st.dictionaries(keys, records), windows)
def test_a_snapshot_comes_back_exactly(held, window) -> None:
    snapshot = objects.decode_snapshot(snapshot_of(9, held, window), "x")
    assert sorted(held.items()) == list(snapshot.state.items())
    assert (9, digest_of(held.items())) == (snapshot.state.revision, snapshot.state.digest)
    assert (len(held), 10, START, "s", window) == (
        snapshot.footer.keys,
        snapshot.footer.through_revision,
        snapshot.footer.observed_through,
        snapshot.footer.segment,
        snapshot.footer.window,
    )


@pytest.mark.parametrize("size_bytes", [(1 << 19) - 1, (1 << 20) - 9, 1 << 20, 3_000_000])
def test_lines_longer_than_a_chunk_come_back_exactly(size_bytes) -> None:
    held = {b"/%d" % number: Record(b"\xff" * size_bytes, 2, 2, 1, 0) for number in range(3)}
    batches = [Batch(2, START, tuple(Event(key, record) for key, record in held.items()))]
    snapshot = snapshot_of(1, held)
    segment = objects.encode_segment(header("segment", 1), batches, footer(batches))
    assert list(held.items()) == list(objects.decode_snapshot(snapshot, "x").state.items())
    assert tuple(batches) == objects.decode_segment(segment, "x").batches


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        (some_segment(), ["put", "put", "put", "delete"]),
        (some_snapshot(), [None, None]),
    ],
    ids=["segment", "snapshot"],
)
def test_every_line_is_json_to_everyone(body, kinds) -> None:
    first, *between, last = [json.loads(line) for line in zstd.decompress(body).splitlines()]
    assert (first["archive_id"], first["format"]) == ("a", 1)
    assert kinds == [line.get("op") for line in between]
    assert len(between) == last.get("events", last.get("keys"))
    assert len(last["state_digest"]) == 64


@pytest.mark.parametrize("seed", range(3))
def test_any_damage_of_a_segment_is_told(seed) -> None:
    for wrong in damaged(some_segment(), seed):
        with pytest.raises(ArchiveDamaged, match="x is damaged"):
            objects.decode_segment(wrong, "x")


@pytest.mark.parametrize("seed", range(3))
def test_any_damage_of_a_snapshot_is_told(seed) -> None:
    for wrong in damaged(some_snapshot(), seed):
        with pytest.raises(ArchiveDamaged, match="x is damaged"):
            objects.decode_snapshot(wrong, "x")


def test_one_kind_doesnt_pass_for_the_other() -> None:
    with pytest.raises(ArchiveDamaged, match="it is a snapshot where a segment must be"):
        objects.decode_segment(some_snapshot(), "x")
    with pytest.raises(ArchiveDamaged, match="it is a segment where a snapshot must be"):
        objects.decode_snapshot(some_segment(), "x")


def rewritten(body: bytes, old: bytes, new: bytes) -> bytes:
    """Return *body* with *old* replaced in its text, and a frame and trailer that fit."""
    text = zstd.decompress(body)
    assert old in text
    return frame.pack([text.replace(old, new, 1)])


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        (b'"events":4', b'"events":5', "counts other events"),
        (b'"last_revision":4', b'"last_revision":5', "last revision is missing"),
        (b'"kind":"segment"', b'"kind":"segments"', "Header can't be read"),
        (b'"previous"', b'"earlier"', "SegmentFooter can't be read"),
        (b'"op":"put"', b'"op":"cas"', "a line can't be read"),
    ],
)
def test_a_wrong_segment_is_told_though_its_bytes_are_whole(old, new, cause) -> None:
    with pytest.raises(ArchiveDamaged, match=f"x is damaged: .*{cause}"):
        objects.decode_segment(rewritten(some_segment(), old, new), "x")


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        (b'"keys":2', b'"keys":3', "counts other keys"),
        (b'"value":{"id":1}', b'"value":{"id":2}', "doesn't give the digest"),
        (b'"lease":0', b'"lease":1', "doesn't give the digest"),
        (b"/a", b"/b", "doesn't give the digest"),
    ],
)
def test_a_wrong_snapshot_is_told_though_its_bytes_are_whole(old, new, cause) -> None:
    with pytest.raises(ArchiveDamaged, match=f"x is damaged: .*{cause}"):
        objects.decode_snapshot(rewritten(some_snapshot(), old, new), "x")


@pytest.mark.parametrize("text", [b"", b"\n", b"{}", b'{"kind":"segment"'])
def test_a_text_without_its_parts_is_damage(text) -> None:
    with pytest.raises(ArchiveDamaged, match="x is damaged"):
        objects.decode_segment(frame.pack([text]), "x")


def test_a_segment_without_its_last_line_is_damage() -> None:
    first = zstd.decompress(some_segment()).splitlines(keepends=True)[0]
    with pytest.raises(ArchiveDamaged, match="its last line is cut off"):
        objects.decode_segment(frame.pack([first]), "x")
