"""What an object says of some keys, without reading what it says of all others.

The text is searched for the keys as they are written; only lines that have one, and those of the same
revision, are decoded. The object's SHA-256 is checked, and where it stands in the hash chain can be; not that
the states in between have the digests which their writers stated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

from replicator.core import lines
from replicator.core.frame import DAMAGE_HINT, digest_of, unpack
from replicator.core.limits import SEGMENT_BYTES, UNREADABLE
from replicator.core.merged import CLOSING, Closing, MergedFooter, MergedHeader
from replicator.core.names import LogName
from replicator.core.objects import Header, SegmentFooter, SnapshotFooter, Text, batches_of
from replicator.errors import ArchiveDamaged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from replicator.core.names import PieceName, SnapshotName
    from replicator.core.records import Batch, Record

# The key stands before it, and a quote within a key is escaped; the value, which may have anything, behind.
_REVISION = re.compile(rb'"mod_revision":(\d+)')


_Part = TypeVar("_Part", bound=msgspec.Struct)


@dataclass(frozen=True)
class Selection:
    """Some keys: one, or all that begin alike.

    Args:
        key: The key, or its beginning; nothing for all keys.
        is_whole: Whether *key* is a whole key.
    """

    key: bytes
    is_whole: bool = False
    _needles: tuple[bytes, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Reckon how the keys begin in a line."""
        needles = []
        try:
            text = msgspec.json.encode(self.key.decode())
            needles.append(b'"key":' + (text if self.is_whole else text[:-1]))
        except UnicodeDecodeError:
            pass
        if not needles or not self.is_whole:  # a beginning may go on with bytes that are no text
            needles.append(b'"key_base64":"')
        object.__setattr__(self, "_needles", tuple(needles))

    def holds(self, key: bytes) -> bool:
        """Tell whether *key* is one of them."""
        return key == self.key if self.is_whole else key.startswith(self.key)

    def find(self, text: bytes, begin: int, end: int) -> int:
        """Return where one of them may be named first in *text* from *begin* to *end*; -1 if nowhere."""
        found = [place for needle in self._needles if (place := text.find(needle, begin, end)) >= 0]
        return min(found, default=-1)


@dataclass(frozen=True, slots=True)
class ScannedPiece:
    """What a piece of the log says of some keys.

    Attributes:
        name: The piece's.
        last: Its last revision.
        ended_at: The stamp of that.
        previous: SHA-256 that its first segment names as the one before it.
        anchor: SHA-256 of its last segment.
        batches: Whole revisions, in order: all that have one of the keys, and perhaps others.
    """

    name: PieceName
    last: int
    ended_at: datetime
    previous: str
    anchor: str
    batches: tuple[Batch, ...]


def scan_piece(body: bytes, name: PieceName, selection: Selection, archive_id: str) -> ScannedPiece:
    """Return what the piece *name* of the log, whose bytes are *body*, says of *selection*.

    Raises:
        ArchiveDamaged: These aren't the bytes that were written, or not under this name.
    """
    label, is_segment = str(name), isinstance(name, LogName)
    regions = _regions(unpack(body, label, SEGMENT_BYTES))
    text, begin, end = next(regions)
    begin = text.find(b"\n") + 1
    header = _part(text[:begin], Header if is_segment else MergedHeader, label)
    _expect(header, name, name.after, archive_id)
    batches: list[Batch] = []
    closing, before = b"", b""
    while True:
        following = next(regions, None)
        if following is None:  # the last line is the footer's
            end = text.rfind(b"\n", begin, end - 1) + 1 or begin
        found = batches_of([b"".join(_runs(text, begin, end, selection))], label)
        batches += (batch for batch in found if any(selection.holds(event.key) for event in batch.events))
        closing = closing or _closing(text, begin, end)
        if following is None:
            break
        before = text[_line(text, end - 1)[0] : end] if end > begin else before
        text, begin, end = following
    if isinstance(name, LogName):
        footer = _part(text[end:], SegmentFooter, label)
        return ScannedPiece(
            name, footer.last_revision, footer.observed_at, footer.previous, digest_of(body), tuple(batches)
        )
    if _part(text[end:], MergedFooter, label).last_revision != name.last:
        raise ArchiveDamaged(f"{name} is damaged: it ends elsewhere than its name says", hint=DAMAGE_HINT)
    last = text[_line(text, end - 1)[0] : end] if end > begin else before
    first, last_one = _part(closing, Closing, label), _part(last, Closing, label)
    return ScannedPiece(
        name, name.last, name.ended_at, first.footer.previous, last_one.segment, tuple(batches)
    )


def scan_snapshot(
    body: bytes, name: SnapshotName, selection: Selection, archive_id: str
) -> tuple[dict[bytes, Record], str]:
    """Return the records of *selection* in the snapshot *name*, and what the next segment names as previous.

    Raises:
        ArchiveDamaged: These aren't the bytes that were written, or not under this name.
    """
    text = Text(body, str(name))
    _expect(text.header("snapshot", Header), name, name.revision, archive_id)
    held = {
        key: record
        for block in text.blocks()
        for key, record in lines.decode_records(b"".join(_named(block, selection)), str(name))
        if selection.holds(key)
    }
    return held, text.footer(SnapshotFooter).anchor(digest_of(body))


def _expect(header: Header, name: PieceName | SnapshotName, revision: int, archive_id: str) -> None:
    if (header.archive_id, header.epoch, header.revision) != (archive_id, name.epoch, revision):
        raise ArchiveDamaged(f"{name} holds another object", hint=DAMAGE_HINT)


def _part(line: bytes, kind: type[_Part], name: str) -> _Part:
    """Return what *line* says, if it is one of *kind*."""
    try:
        return msgspec.json.decode(line, type=kind)
    except UNREADABLE:
        raise ArchiveDamaged(
            f"{name} is damaged: its {kind.__name__} can't be read", hint=DAMAGE_HINT
        ) from None


def _named(block: bytes, selection: Selection) -> Iterator[bytes]:
    """Yield the lines of *block* that may have one of *selection*'s keys."""
    if not selection.key:
        yield block
        return
    end = 0
    while (place := selection.find(block, end, len(block))) >= 0:
        start, end = _line(block, place)
        yield block[start:end]


def _runs(text: bytes, begin: int, end: int, selection: Selection) -> Iterator[bytes]:
    """Yield the lines of each revision in *text*, from *begin* to *end*, that may have one of the keys."""
    if not selection.key:
        every = text[begin:end].split(b"\n")
        yield from (line + b"\n" for line in every if line and not line.startswith(CLOSING))
        return
    after = begin
    while (place := selection.find(text, after, end)) >= 0:
        start, after = _line(text, place)
        number = _revision(text[start:after])
        if number is not None:  # else it is a key's name within another line's value
            start, after = _behind(text, begin, after), _ahead(text, after, end, number)
            yield text[start:after]


def _regions(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Yield stretches of the text in *chunks*: bytes, where it begins in them, where it ends.

    Each has whole lines, and none ends amid a revision. What is long isn't copied: that would cost as much as
    the search.
    """
    carry = b""
    for chunk in chunks:
        begin, end = chunk.find(b"\n") + 1, chunk.rfind(b"\n") + 1
        carry += chunk[:begin] if begin else chunk
        if not begin:
            continue
        after = _ahead(chunk, begin, end, _revision(carry[_line(carry, len(carry) - 1)[0] :]))
        carry += chunk[begin:after]
        tail = _behind(chunk, after, end)
        if tail > after:
            yield carry, 0, len(carry)
            yield chunk, after, tail
            carry = b""
        carry += chunk[tail:]
    yield carry, 0, len(carry)


def _ahead(text: bytes, place: int, end: int, number: int | None) -> int:
    """Return where, from *place*, the lines of revision *number* end."""
    while number is not None and place < end and _revision(text[place : _line(text, place)[1]]) == number:
        place = _line(text, place)[1]
    return place


def _behind(text: bytes, begin: int, end: int) -> int:
    """Return where the lines of the last revision before *end* begin, not before *begin*."""
    if end <= begin:
        return begin
    start = _line(text, end - 1)[0]
    number = _revision(text[start:end])
    while start > begin and number is not None:
        before = _line(text, start - 1)[0]
        if _revision(text[before:start]) != number:
            break
        start = before
    return start


def _closing(text: bytes, begin: int, end: int) -> bytes:
    """Return the first closing line in *text* from *begin* to *end*; nothing if there is none."""
    if text.startswith(CLOSING, begin):
        return text[slice(*_line(text, begin))]
    place = text.find(b"\n" + CLOSING, begin, end)
    return b"" if place < 0 else text[slice(*_line(text, place + 1))]


def _line(block: bytes, place: int) -> tuple[int, int]:
    """Return where the line that has the byte at *place* begins and ends, its newline included."""
    return block.rfind(b"\n", 0, place) + 1, block.index(b"\n", place) + 1


def _revision(line: bytes) -> int | None:
    """Return the mod_revision that *line* states of its event; None if it is no event's."""
    found = None if line.startswith(CLOSING) else _REVISION.search(line)
    return int(found[1]) if found else None
