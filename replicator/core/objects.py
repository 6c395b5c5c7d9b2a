"""Segments and snapshots: a header line, a line for each event or key, and a footer line that proves them."""

from __future__ import annotations

from itertools import chain, count, groupby
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from replicator.core import frame, lines
from replicator.core.documents import FORMAT
from replicator.core.limits import (
    LINE_BYTES,
    SEGMENT_BYTES,
    SEGMENT_LINES,
    STATE_BYTES,
    UNREADABLE,
    Moment,
    Number,
    check_moments,
)
from replicator.core.records import EVENT_OVERHEAD_BYTES, Window
from replicator.core.state import State
from replicator.core.state import digest_of as state_digest
from replicator.errors import ArchiveDamaged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replicator.core.records import Batch, Event

_HEADER_BYTES = 1 << 20  # a few hundred, and never as much as a chunk

Kind = Literal["segment", "snapshot", "merged", "gap"]


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: what this object is, and whose.

    Attributes:
        kind: ``segment``, ``snapshot``, ``merged`` or ``gap``.
        archive_id: As in archive.json.
        epoch: The epoch that it belongs to.
        revision: For a segment or a merged object the revision that it starts after; for a snapshot the one
            it shows; for a gap record the base that the gap ends with.
        writer: The process that wrote it, so that no two writers' objects are ever the same bytes.
        format: Version of the format.
    """

    kind: Kind
    archive_id: str
    epoch: Number
    revision: Number
    writer: str
    format: Number = FORMAT


class SegmentFooter(msgspec.Struct, frozen=True, kw_only=True):
    """A segment's last line.

    Attributes:
        events: How many lines stand between header and footer.
        last_revision: Revision of the last batch; the next segment starts after it.
        through_revision: etcd's revision up to which nothing more happened under the prefix.
        observed_at: Stamp of the last batch.
        observed_through: The watermark when the segment was cut; not before *observed_at*.
        state_digest: Digest of the whole state after the last batch.
        previous: SHA-256 of the segment before this one, or of the base snapshot for an epoch's first.
    """

    events: Number
    last_revision: Number
    through_revision: Number
    observed_at: Moment
    observed_through: Moment
    state_digest: str
    previous: str

    def __post_init__(self) -> None:
        """Refuse times that can't be reckoned with."""
        check_moments(self.observed_at, self.observed_through)


class SnapshotFooter(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot's last line.

    Attributes:
        keys: How many lines stand between header and footer.
        through_revision: etcd's revision up to which nothing more happened under the prefix.
        observed_through: The watermark when the snapshot was cut.
        state_digest: Digest of the state.
        segment: SHA-256 of the segment that ends at this revision; empty for an epoch's base.
        window: Where the commit of this revision must lie if it arrived late.
    """

    keys: Number
    through_revision: Number
    observed_through: Moment
    state_digest: str
    segment: str = ""
    window: Window | None = None

    def __post_init__(self) -> None:
        """Refuse times that can't be reckoned with."""
        check_moments(self.observed_through)

    def anchor(self, digest: str) -> str:
        """Return what the next segment must name as its previous; *digest* is this snapshot's own."""
        return self.segment or digest


class Segment(msgspec.Struct, frozen=True):
    """A segment, read and found whole; *digest* is its own SHA-256, which the next one's footer names."""

    header: Header
    batches: tuple[Batch, ...]
    footer: SegmentFooter
    digest: str


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot, read and found whole; its state's digest was computed anew and equals the footer's."""

    header: Header
    state: State
    footer: SnapshotFooter
    digest: str


_Part = TypeVar("_Part", bound=msgspec.Struct)
_Headed = TypeVar("_Headed", bound=Header)


def encode_segment(header: Header, batches: Iterable[Batch], footer: SegmentFooter) -> bytes:
    """Return a segment's bytes."""
    events = chain.from_iterable(map(lines.encode_batch, batches))
    return frame.pack(chain((line_of(header),), events, (line_of(footer),)))


def decode_segment(body: bytes, name: str) -> Segment:
    """Return the segment that *body* holds; *name* is for the error alone.

    Raises:
        ArchiveDamaged: The bytes aren't those that `encode_segment` wrote.
    """
    text = Text(body, name, SEGMENT_BYTES)
    header = text.header("segment", Header)
    batches = tuple(batches_of(text.blocks(), name))
    footer = text.footer(SegmentFooter)
    count = sum(len(batch.events) for batch in batches)
    text.expect(count == footer.events, "its footer counts other events")
    last = batches[-1].revision if batches else None
    text.expect(last == footer.last_revision, "its last revision is missing")
    return Segment(header, batches, footer, frame.digest_of(body))


def encode_snapshot(header: Header, state: State, footer: SnapshotFooter) -> bytes:
    """Return a snapshot's bytes; keys stand in byte order."""
    records = (lines.encode_record(key, record) for key, record in state.items())
    return frame.pack(chain((line_of(header),), records, (line_of(footer),)))


def decode_snapshot(body: bytes, name: str) -> Snapshot:
    """Return the snapshot that *body* holds; *name* is for the error alone.

    Raises:
        ArchiveDamaged: The bytes aren't those that `encode_snapshot` wrote, or don't give the digest that
            they state.
    """
    text = Text(body, name)
    header = text.header("snapshot", Header)
    state = State(header.revision)
    for block in text.blocks():
        for key, record in lines.decode_records(block, name):
            state.add(key, record)
        held_bytes = state.size_bytes + len(state) * EVENT_OVERHEAD_BYTES
        text.expect(held_bytes <= STATE_BYTES, "it has more keys and values than etcd can hold")
    footer = text.footer(SnapshotFooter)
    text.expect(len(state) == footer.keys, "its footer counts other keys")
    text.expect(state.digest == footer.state_digest, "its state doesn't give the digest in its footer")
    return Snapshot(header, state, footer, frame.digest_of(body))


def inspect_snapshot(body: bytes, name: str) -> tuple[Header, SnapshotFooter, str]:
    """Return a snapshot's header, footer and own SHA-256; its state is proved, and never held.

    Raises:
        ArchiveDamaged: As `decode_snapshot`, but that a key which stands twice shows in the digest alone.
    """
    text = Text(body, name)
    header = text.header("snapshot", Header)
    records = chain.from_iterable(lines.decode_records(block, name) for block in text.blocks())
    counter = count()
    digest = state_digest(record for record, _ in zip(records, counter, strict=False))
    footer = text.footer(SnapshotFooter)
    text.expect(next(counter) == footer.keys, "its footer counts other keys")
    text.expect(digest == footer.state_digest, "its state doesn't give the digest in its footer")
    return header, footer, frame.digest_of(body)


class Text:
    """The three parts of an object's text, in one pass and never whole in memory: header, blocks, footer."""

    def __init__(self, body: bytes, name: str, limit_bytes: int | None = None) -> None:
        self._name = name
        self._chunks = frame.unpack(body, name, limit_bytes)
        self._rest = b""

    def header(self, kind: Kind, form: type[_Headed]) -> _Headed:
        """Return the first line; call this first."""
        while b"\n" not in self._rest:
            chunk = next(self._chunks, b"")
            self.expect(chunk != b"", "its text has no first line")
            self.expect(len(self._rest) <= _HEADER_BYTES, "its first line has no end")
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        header = self.part(line, form)
        self.expect(header.kind == kind, f"it is a {header.kind} where a {kind} must be")
        return header

    def blocks(self) -> Iterator[bytes]:
        """Yield whole lines, many at once; the last line is held back for `footer`."""
        for chunk in chain((b"",), self._whole_lines()):
            text = self._rest + chunk
            end = text.rfind(b"\n", 0, text.rfind(b"\n") if b"\n" in text else 0) + 1
            self._rest = text[end:]
            if end:
                yield text[:end]

    def _whole_lines(self) -> Iterator[bytes]:
        """Yield the chunks, joined up to one that ends a line: to join each to the rest is quadratic."""
        held: list[bytes] = []
        held_bytes = 0
        for chunk in self._chunks:
            self.expect(held_bytes <= LINE_BYTES, "a line has no end")
            held.append(chunk)
            held_bytes += len(chunk)
            if b"\n" in chunk:
                yield b"".join(held)
                held, held_bytes = [], 0
        yield b"".join(held)

    def footer(self, kind: type[_Part]) -> _Part:
        """Return the last line; call this when `blocks` is through."""
        self.expect(self._rest.endswith(b"\n"), "its last line is cut off")
        return self.part(self._rest, kind)

    def expect(self, truth: bool, otherwise: str) -> None:  # noqa: FBT001 (reads as a sentence)
        """Raise ArchiveDamaged with *otherwise* unless *truth*."""
        if not truth:
            raise ArchiveDamaged(f"{self._name} is damaged: {otherwise}", hint=frame.DAMAGE_HINT)

    def part(self, line: bytes, kind: type[_Part]) -> _Part:
        """Return what *line* says, if it is one of *kind*."""
        try:
            return msgspec.json.decode(line, type=kind)
        except UNREADABLE:
            raise ArchiveDamaged(
                f"{self._name} is damaged: its {kind.__name__} can't be read", hint=frame.DAMAGE_HINT
            ) from None


def batches_of(blocks: Iterable[bytes], name: str) -> Iterator[Batch]:
    """Group the events of a segment, whose lines are *blocks*, by revision, as they were written."""
    pairs = chain.from_iterable(_events(blocks, name))
    for _, group in groupby(pairs, key=lambda pair: pair[0].mod_revision):
        (first, event), *others = group
        yield lines.batch_of(first, [event, *(event for _, event in others)], name)


def _events(blocks: Iterable[bytes], name: str) -> Iterator[Iterator[tuple[lines.Line, Event]]]:
    events = 0
    for block in blocks:
        events += block.count(b"\n")
        if events > SEGMENT_LINES:
            raise ArchiveDamaged(
                f"{name} is damaged: it has more than {SEGMENT_LINES} events", hint=frame.DAMAGE_HINT
            )
        yield lines.decode_events(block, name)


def line_of(part: msgspec.Struct) -> bytes:
    """Return the line that says *part*, with its newline."""
    return msgspec.json.encode(part) + b"\n"
