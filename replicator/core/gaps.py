"""A gap's record: what differs, key by key, between the end of an epoch and the base of the next one.

Nobody saw what happened between the two; what came of it can be told. Values stand in neither: they are in
the epochs on both sides.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime  # noqa: TC003 (msgspec reads the annotations)
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from replicator.core import frame
from replicator.core.documents import Follows, Gap
from replicator.core.objects import Header
from replicator.errors import ArchiveDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.core.records import Record
    from replicator.core.state import State

Op = Literal["created", "updated", "deleted"]


class Difference(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """One key that isn't on both sides what it was.

    Attributes:
        op: ``created``: it is on the far side alone; ``deleted``: on the near side alone; ``updated``: on
            both, and its value, its revisions or its lease aren't the same.
        key: The key as text; None if it isn't UTF-8.
        key_base64: The key then.
        before: Its mod_revision at the end of the epoch before; 0 if it wasn't there.
        after: Its mod_revision in the base; 0 if it isn't there.
        same_value: Whether an updated key holds the same bytes as before.
    """

    op: Op
    key: str | None = None
    key_base64: bytes | None = None
    before: int = 0
    after: int = 0
    same_value: bool = False

    @property
    def raw_key(self) -> bytes:
        """The key's bytes."""
        return self.key.encode() if self.key is not None else self.key_base64 or b""


class GapFooter(msgspec.Struct, frozen=True, kw_only=True):
    """A gap record's last line.

    Attributes:
        created: How many keys were created across the gap.
        updated: How many were updated.
        deleted: How many were deleted.
        same_value: How many of the updated hold the same bytes as before.
        reason: Why there is a gap, as in the epoch's document.
        follows: Where the epoch before ended; the gap begins at its ``observed_through``.
        base: Revision at which the gap ends.
        observed_at: The moment at which it ends.
        digest_before: Digest of the state on the near side.
        digest_after: Digest of the base.
    """

    created: int
    updated: int
    deleted: int
    same_value: int
    reason: str
    follows: Follows
    base: int
    observed_at: datetime
    digest_before: str
    digest_after: str


_Part = TypeVar("_Part", Header, Difference, GapFooter)


class Across:
    """The two sides of a gap, to be written down once.

    Args:
        reason: Why there is a gap.
        before: The state at the end of the epoch before.
        follows: Where that epoch ended.
        after: The base of the next one.
        observed_at: Stamp of the base.
    """

    def __init__(
        self, reason: str, before: State, follows: Follows, after: State, observed_at: datetime
    ) -> None:
        self._reason = reason
        self._before = before
        self._follows = follows
        self._after = after
        self._observed_at = observed_at

    def encode(self, header: Header, name: str) -> tuple[bytes, Gap]:
        """Return the record's bytes, and what the epoch's document says of it under *name*."""
        counts: Counter[str] = Counter()
        body = frame.pack(self._lines(header, counts))
        gap = Gap(
            name=name,
            sha256=frame.digest_of(body),
            created=counts["created"],
            updated=counts["updated"],
            deleted=counts["deleted"],
            same_value=counts["same_value"],
        )
        return body, gap

    def _lines(self, header: Header, counts: Counter[str]) -> Iterator[bytes]:
        yield _line(header)
        for one in differences(self._before, self._after):
            counts[one.op] += 1
            counts["same_value"] += one.same_value
            yield _line(one)
        yield _line(
            GapFooter(
                created=counts["created"],
                updated=counts["updated"],
                deleted=counts["deleted"],
                same_value=counts["same_value"],
                reason=self._reason,
                follows=self._follows,
                base=self._after.revision,
                observed_at=self._observed_at,
                digest_before=self._before.digest,
                digest_after=self._after.digest,
            )
        )


def differences(before: State, after: State) -> Iterator[Difference]:
    """Yield what differs between two states, in byte order of the keys."""
    sides = merge(
        ((key, 0, record) for key, record in before.items()),
        ((key, 1, record) for key, record in after.items()),
        key=itemgetter(0, 1),
    )
    for key, group in groupby(sides, key=itemgetter(0)):
        records = {side: record for _, side, record in group}
        if records.get(0) != records.get(1):
            yield _difference(key, records.get(0), records.get(1))


def decode(body: bytes, name: str) -> tuple[Header, list[Difference], GapFooter]:
    """Return what the gap record *body* says; *name* is for the error alone.

    Raises:
        ArchiveDamaged: The bytes aren't those that `Across.encode` wrote.
    """
    first, *middle, last = _text_lines(body, name)
    header = _decoded(first, Header, name)
    if header.kind != "gap":
        raise _damaged(name, f"it is a {header.kind} where a gap record must be")
    found = [_decoded(line, Difference, name) for line in middle]
    footer = _decoded(last, GapFooter, name)
    counts = Counter(one.op for one in found)
    if (counts["created"], counts["updated"], counts["deleted"]) != (
        footer.created,
        footer.updated,
        footer.deleted,
    ):
        raise _damaged(name, "its footer counts other keys")
    return header, found, footer


def _difference(key: bytes, old: Record | None, new: Record | None) -> Difference:
    op: Op = "created" if old is None else "deleted" if new is None else "updated"
    before, after = (old.mod_revision if old else 0), (new.mod_revision if new else 0)
    same = old is not None and new is not None and old.value == new.value
    try:
        return Difference(op=op, key=key.decode(), before=before, after=after, same_value=same)
    except UnicodeDecodeError:
        return Difference(op=op, key_base64=key, before=before, after=after, same_value=same)


def _text_lines(body: bytes, name: str) -> list[bytes]:
    lines = b"".join(frame.unpack(body, name)).split(b"\n")
    if len(lines) < 3 or lines.pop() != b"":
        raise _damaged(name, "its last line is cut off")
    return lines


def _line(part: Header | Difference | GapFooter) -> bytes:
    return msgspec.json.encode(part) + b"\n"


def _decoded(line: bytes, kind: type[_Part], name: str) -> _Part:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _damaged(name, f"its {kind.__name__} can't be read") from None


def _damaged(name: str, cause: str) -> ArchiveDamaged:
    return ArchiveDamaged(f"{name} is damaged: {cause}", hint=frame.DAMAGE_HINT)
