"""One line of JSON for each event of a segment and each key of a snapshot, exact to the byte.

A value stands as inline JSON where a reader can cut its very bytes out of the line again (it is always the
line's last member), else as a JSON string (``value_text``), else as base64 (``value_base64``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from replicator.core.limits import LINE_BYTES, UNREADABLE, Lease, Moment, Number, is_sound
from replicator.core.records import Batch, Event, Record, Window
from replicator.errors import ArchiveDamaged, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

# jq 1.6 reads 256 levels, and a line has one of its own; deeper values stand as text.
MAX_INLINE_DEPTH = 200

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKETS = re.compile(rb"[\[\]{}]")


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """A line as it is written; which members it has depends on what it says (docs/format.md)."""

    op: Literal["put", "delete"] | None = None
    observed_at: Moment | None = None
    not_before: Moment | None = None
    not_after: Moment | None = None
    key: str | None = None
    key_base64: bytes | None = None
    create_revision: Number = -1
    mod_revision: Number = -1
    version: Number = -1
    lease: Lease = -1
    value_text: str | None = None
    value_base64: bytes | None = None
    value: Raw | UnsetType = UNSET


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)
_json = msgspec.json.Decoder(Raw)


def encode_record(key: bytes, record: Record) -> bytes:
    """Return a snapshot's line for one key, with its newline."""
    return _encoded(_put(key, record))


def encode_batch(batch: Batch) -> Iterator[bytes]:
    """Yield a segment's lines for one revision, with their newlines."""
    window = batch.window
    for event in batch.events:
        line = _delete(event.key, batch.revision) if event.record is None else _put(event.key, event.record)
        line.op = "delete" if event.record is None else "put"
        line.observed_at = batch.observed_at
        if window is not None:
            line.not_before, line.not_after = window.not_before, window.not_after
        yield _encoded(line)


def decode_records(text: bytes, name: str) -> Iterator[tuple[bytes, Record]]:
    """Yield the keys and records of whole lines of a snapshot; *name* is for the error alone.

    Raises:
        ArchiveDamaged: A line isn't one that `encode_record` writes.
    """
    for line in _decode(text, name):
        yield _key(line), _record(line)


def decode_events(text: bytes, name: str) -> Iterator[tuple[Line, Event]]:
    """Yield each line of a segment with the event that it tells; *name* is for the error alone.

    Raises:
        ArchiveDamaged: A line isn't one that `encode_batch` writes.
    """
    for line in _decode(text, name):
        yield line, Event(_key(line), None if line.op == "delete" else _record(line))


def batch_of(first: Line, events: list[Event], name: str) -> Batch:
    """Return the batch whose first line is *first*.

    Raises:
        ArchiveDamaged: The line has no stamp, or one that is none.
    """
    if first.observed_at is None or not is_sound(first.observed_at):
        raise ArchiveDamaged(f"{name} is damaged: revision {first.mod_revision} has no time")
    window = None
    if first.not_before is not None and first.not_after is not None:
        try:
            window = Window(first.not_before, first.not_after)
        except ValueError as error:
            raise ArchiveDamaged(f"{name} is damaged: revision {first.mod_revision} has {error}") from None
    return Batch(first.mod_revision, first.observed_at, tuple(events), window)


def is_inline(value: bytes) -> bool:
    """Tell whether *value* is JSON that a line can hold as it stands, so that its bytes come back exactly."""
    if value[:1] in (b"", b" ", b"\t") or value[-1:] in (b" ", b"\t") or b"\n" in value or b"\r" in value:
        return False
    try:
        _json.decode(value)
        if not value.isascii():
            value.decode()
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return _is_shallow(value)


def _is_shallow(value: bytes) -> bool:
    if len(value) <= 2 * MAX_INLINE_DEPTH or value.count(b"[") + value.count(b"{") <= MAX_INLINE_DEPTH:
        return True
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", value)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest <= MAX_INLINE_DEPTH


def _put(key: bytes, record: Record) -> Line:
    line = _named(key)
    line.create_revision = record.create_revision
    line.mod_revision = record.mod_revision
    line.version = record.version
    line.lease = record.lease
    if is_inline(record.value):
        line.value = Raw(record.value)
    else:
        try:
            line.value_text = record.value.decode()
        except UnicodeDecodeError:
            line.value_base64 = record.value
    return line


def _delete(key: bytes, revision: int) -> Line:
    line = _named(key)
    line.mod_revision = revision
    return line


def _named(key: bytes) -> Line:
    try:
        return Line(key=key.decode())
    except UnicodeDecodeError:
        return Line(key_base64=key)


def _encoded(line: Line) -> bytes:
    text = _encoder.encode(line) + b"\n"
    if len(text) > LINE_BYTES:
        raise UsageError(
            f"the value of {line.key or line.key_base64!r} at revision {line.mod_revision} is too long to be "
            f"recorded: {len(text)} bytes of text, and {LINE_BYTES} at most",
            hint="lower etcd's --max-request-bytes to 10 MiB or less, as etcd advises, and shorten the value",
        )
    return text


def _decode(text: bytes, name: str) -> list[Line]:
    try:
        lines = _decoder.decode_lines(text)
    except UNREADABLE as error:
        raise ArchiveDamaged(f"{name} is damaged: a line can't be read ({type(error).__name__})") from None
    if len(lines) != text.count(b"\n"):
        raise ArchiveDamaged(f"{name} is damaged: it has empty lines")
    return lines


def _key(line: Line) -> bytes:
    if line.key is not None:
        return line.key.encode()
    return line.key_base64 or b""


def _record(line: Line) -> Record:
    if line.value is not UNSET:
        value = bytes(line.value)
    elif line.value_text is not None:
        value = line.value_text.encode()
    else:
        value = line.value_base64 or b""
    return Record(value, line.create_revision, line.mod_revision, line.version, line.lease)
