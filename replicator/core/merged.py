"""Merged objects: a run of segments in one object, which gives each of them back as it was.

A header line, then for each segment its event lines and a line that closes it with its own footer and
SHA-256, then a footer line.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (msgspec reads the annotations)
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from replicator.core import frame, lines
from replicator.core.names import LogName, MergedName, PieceName
from replicator.core.objects import (
    Header,
    Segment,
    SegmentFooter,
    Text,
    batches_of,
    decode_segment,
    line_of,
)
from replicator.errors import ArchiveDamaged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from replicator.core.records import Batch

CLOSING = b'{"segment":'
"""What a closing line begins with; an event's begins with another member, and no line has a newline in it."""


class MergedHeader(Header, frozen=True, kw_only=True):
    """The first line of a merged object.

    Attributes:
        merged_at: When it was made: what it was made of stays for a while after that.
    """

    merged_at: datetime


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """The line behind a segment's events.

    Attributes:
        segment: The segment's SHA-256, as its own trailer stated it.
        writer: Who wrote the segment.
        footer: Its footer.
    """

    segment: str
    writer: str
    footer: SegmentFooter


class MergedFooter(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of a merged object.

    Attributes:
        segments: How many segments it holds.
        events: How many events they hold.
        last_revision: Revision of the last one.
    """

    segments: int
    events: int
    last_revision: int


def merged_name(segments: Sequence[Segment]) -> MergedName:
    """Return what an object of *segments* is called: at least one, each the next one's predecessor."""
    first, last = segments[0], segments[-1]
    begun_at = first.batches[0].observed_at
    header = first.header
    return MergedName(
        header.epoch, header.revision, last.footer.last_revision, begun_at, last.footer.observed_at
    )


def encode_merged(segments: Sequence[Segment], writer: str, merged_at: datetime) -> bytes:
    """Return the bytes of an object that holds *segments*: at least one, each the next one's predecessor."""
    first, last = segments[0], segments[-1]
    header = MergedHeader(
        kind="merged",
        archive_id=first.header.archive_id,
        epoch=first.header.epoch,
        revision=first.header.revision,
        writer=writer,
        merged_at=merged_at,
    )
    footer = MergedFooter(
        segments=len(segments),
        events=sum(segment.footer.events for segment in segments),
        last_revision=last.footer.last_revision,
    )
    inner = chain.from_iterable(map(_lines, segments))
    return frame.pack(chain((line_of(header),), inner, (line_of(footer),)))


def decode_piece(body: bytes, name: PieceName) -> tuple[Segment, ...]:
    """Return the segments that *body* holds, as `segments_of` yields them."""
    return tuple(segments_of(body, name))


def segments_of(body: bytes, name: PieceName) -> Iterator[Segment]:
    """Yield the segments that *body* holds, in order and never all in memory: one, if *name* is a segment's.

    Those of a merged object have the footers and the SHA-256 that they had as objects of their own.

    Raises:
        ArchiveDamaged: These aren't the bytes that were written, or not under this name.
    """
    if isinstance(name, LogName):
        yield decode_segment(body, str(name))
        return
    label = str(name)
    text = Text(body, label)
    header = text.header("merged", MergedHeader)
    text.expect((header.epoch, header.revision) == (name.epoch, name.after), "it belongs under another name")
    position, previous, segments, events = name.after, None, 0, 0
    for blocks, line in _groups(text.blocks()):
        segment = _segment(text, header, position, tuple(batches_of(blocks, label)), line)
        is_next = previous is None or segment.footer.previous == previous
        text.expect(is_next, f"its segment after revision {position} doesn't follow the one before it")
        yield segment
        position, previous = segment.footer.last_revision, segment.digest
        segments, events = segments + 1, events + segment.footer.events
    expected = MergedFooter(segments=segments, events=events, last_revision=position)
    text.expect(text.footer(MergedFooter) == expected, "its footer counts other segments")
    text.expect(position == name.last, "it ends at another revision than its name says")


def segments_from(body: bytes, name: PieceName, position: int) -> Iterator[Segment]:
    """Yield the segments that *body* holds, as `segments_of` does, for a fold that stands at *position*.

    A segment's own object that starts before that is a stale writer's: it yields nothing if it is damaged,
    since nobody needs it.
    """
    try:
        yield from segments_of(body, name)
    except ArchiveDamaged:
        if not (isinstance(name, LogName) and name.after < position):
            raise


def merged_at(body: bytes, name: MergedName) -> datetime:
    """Return when the object *body* was made.

    Raises:
        ArchiveDamaged: These aren't the bytes that were written.
    """
    return Text(body, str(name)).header("merged", MergedHeader).merged_at


def _segment(
    text: Text, header: MergedHeader, after: int, batches: tuple[Batch, ...], line: bytes
) -> Segment:
    closing = text.part(line, Closing)
    count = sum(len(batch.events) for batch in batches)
    text.expect(count == closing.footer.events, "the footer of a segment counts other events")
    last = batches[-1].revision if batches else None
    text.expect(last == closing.footer.last_revision, "the last revision of a segment is missing")
    own = Header(
        kind="segment",
        archive_id=header.archive_id,
        epoch=header.epoch,
        revision=after,
        writer=closing.writer,
        format=header.format,
    )
    return Segment(own, batches, closing.footer, closing.segment)


def _lines(segment: Segment) -> Iterator[bytes]:
    yield from chain.from_iterable(map(lines.encode_batch, segment.batches))
    yield line_of(Closing(segment=segment.digest, writer=segment.header.writer, footer=segment.footer))


def _groups(blocks: Iterable[bytes]) -> Iterator[tuple[list[bytes], bytes]]:
    """Yield the event lines of each segment, in blocks, and its closing line; *blocks* are whole lines."""
    held: list[bytes] = []
    for block in blocks:
        start = 0
        while (found := _closing(block, start)) < len(block):
            end = block.index(b"\n", found) + 1
            yield [*held, block[start:found]], block[found:end]
            held, start = [], end
        held.append(block[start:])
    if any(held):
        yield held, b""


def _closing(block: bytes, start: int) -> int:
    """Return where the next closing line begins in *block* from *start*; its length if there is none."""
    if block.startswith(CLOSING, start):
        return start
    found = block.find(b"\n" + CLOSING, start)
    return len(block) if found < 0 else found + 1
