"""What an object says of some keys, without reading what it says of all others.

The text is searched for the keys as they are written; only lines that have one, and those of the same
revision, are decoded. The object's SHA-256 is checked, and where it stands in the hash chain can be; not that
the states in between have the digests which their writers stated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from replicator.core import lines
from replicator.core.frame import DAMAGE_HINT, digest_of
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

    def find(self, block: bytes, start: int) -> int:
        """Return where, from *start*, one of them may be named first in *block*; -1 if nowhere."""
        found = [place for needle in self._needles if (place := block.find(needle, start)) >= 0]
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
    text = Text(body, str(name))
    is_segment = isinstance(name, LogName)
    header = text.header("segment", Header) if is_segment else text.header("merged", MergedHeader)
    _expect(header, name, name.after, archive_id)
    closings: list[bytes] = []
    batches: list[Batch] = []
    for block in _whole_revisions(text.blocks()):
        found = batches_of([b"".join(_runs(block, selection))], str(name))
        batches += (batch for batch in found if any(selection.holds(event.key) for event in batch.events))
        if not is_segment:
            closings += _ends(block)
    if isinstance(name, LogName):
        footer = text.footer(SegmentFooter)
        return ScannedPiece(
            name, footer.last_revision, footer.observed_at, footer.previous, digest_of(body), tuple(batches)
        )
    text.expect(text.footer(MergedFooter).last_revision == name.last, "it ends elsewhere than its name says")
    text.expect(bool(closings), "it has no segments")
    first, last = text.part(closings[0], Closing), text.part(closings[-1], Closing)
    return ScannedPiece(name, name.last, name.ended_at, first.footer.previous, last.segment, tuple(batches))


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


def _named(block: bytes, selection: Selection) -> Iterator[bytes]:
    """Yield the lines of *block* that may have one of *selection*'s keys."""
    if not selection.key:
        yield block
        return
    end = 0
    while (place := selection.find(block, end)) >= 0:
        start, end = _line(block, place)
        yield block[start:end]


def _runs(block: bytes, selection: Selection) -> Iterator[bytes]:
    """Yield the lines of each revision in *block* that may have one of *selection*'s keys."""
    if not selection.key:
        yield from (line + b"\n" for line in block.split(b"\n") if line and not line.startswith(CLOSING))
        return
    end = 0
    while (place := selection.find(block, end)) >= 0:
        start, end = _line(block, place)
        number = _revision(block[start:end])
        if number is None:  # a key's name within another line's value
            continue
        while start and _revision(block[(before := _line(block, start - 1)[0]) : start]) == number:
            start = before
        while end < len(block) and _revision(block[end : (after := _line(block, end)[1])]) == number:
            end = after
        yield block[start:end]


def _whole_revisions(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same lines as *blocks* in blocks of whole revisions."""
    held = b""
    for block in blocks:
        text = held + block
        start = _line(text, len(text) - 1)[0]
        number = _revision(text[start:])
        while start and number is not None:
            before = _line(text, start - 1)[0]
            if _revision(text[before:start]) != number:
                break
            start = before
        held = text[start:]
        if start:
            yield text[:start]
    if held:
        yield held


def _ends(block: bytes) -> Iterator[bytes]:
    """Yield the first and the last closing line in *block*, if there is any."""
    first = 0 if block.startswith(CLOSING) else block.find(b"\n" + CLOSING) + 1
    if first or block.startswith(CLOSING):
        yield block[slice(*_line(block, first))]
        yield block[slice(*_line(block, block.rfind(b"\n" + CLOSING) + 1))]


def _line(block: bytes, place: int) -> tuple[int, int]:
    """Return where the line that has the byte at *place* begins and ends, its newline included."""
    return block.rfind(b"\n", 0, place) + 1, block.index(b"\n", place) + 1


def _revision(line: bytes) -> int | None:
    """Return the mod_revision that *line* states of its event; None if it is no event's."""
    found = None if line.startswith(CLOSING) else _REVISION.search(line)
    return int(found[1]) if found else None
