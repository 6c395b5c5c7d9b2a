"""What differs between two moments: by resource and field, as numbers, as unified text, as patches."""

from __future__ import annotations

from collections import Counter
from difflib import unified_diff
from typing import TYPE_CHECKING, Any

import msgspec

from replicator.apisix.fields import Opaque, document_of, patch, words
from replicator.apisix.report import shown
from replicator.apisix.resource import name_of, type_of
from replicator.apisix.secrecy import masked
from replicator.cli.history_words import op_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replicator.core.records import Record
    from replicator.flows.changes import KeyChange

COLOURS = {"create": "green", "delete": "red", "update": "yellow"}
_STAT_WORDS = {"create": "created", "update": "updated", "delete": "deleted"}
_SIGNS = {"create": "+", "delete": "-", "update": "~"}


class ResourceDiff(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What ``diff --json`` says of one resource.

    Attributes:
        resource: As people call it.
        key: The key; ``base64:`` and its base64 if it is no UTF-8.
        op: ``create``: only B has it; ``delete``: only A has it; ``update``: both have, with other values.
        patch: From A to B: RFC 6902, ``***`` for secrets unless ``--reveal``; an
            empty path is the whole value.
    """

    resource: str
    key: str
    op: str
    patch: tuple[dict[str, Any], ...] = ()


class DiffWords:
    """Tells differences in an archive of *prefix*; secrets only if *reveal*."""

    def __init__(self, prefix: str, *, reveal: bool) -> None:
        self._prefix = prefix.encode()
        self._reveal = reveal

    def document(self, one: KeyChange) -> ResourceDiff:
        """Return the JSON object for *one*."""
        type_ = type_of(one.key, self._prefix)
        before, after = (document_of(record.value) if record else None for record in (one.before, one.after))
        if one.before is not None and one.after is not None:
            steps = patch(type_, _sayable(before), _sayable(after), reveal=self._reveal)
        elif one.after is not None:
            whole = _sayable(after) if self._reveal else masked(type_, _sayable(after))
            steps = [{"op": "add", "path": "", "value": whole}]
        else:
            steps = [{"op": "remove", "path": ""}]
        return ResourceDiff(
            resource=name_of(one.key, self._prefix), key=shown(one.key), op=op_of(one), patch=tuple(steps)
        )

    def lines(self, one: KeyChange) -> Iterator[tuple[str, str | None]]:
        """Yield the lines for *one*, each with its colour."""
        op = op_of(one)
        yield f"{_SIGNS[op]} {name_of(one.key, self._prefix)}", COLOURS[op]
        if one.before is not None and one.after is not None:
            before, after = document_of(one.before.value), document_of(one.after.value)
            told = words(type_of(one.key, self._prefix), before, after, reveal=self._reveal)
            for line in told or ["the same JSON in other bytes"]:
                yield f"    {line}", None

    def unified(self, one: KeyChange) -> Iterator[tuple[str, str | None]]:
        """Yield the lines of a unified diff of *one*'s value, indented JSON, each with its colour."""
        name = name_of(one.key, self._prefix)
        before, after = self._text(one.key, one.before), self._text(one.key, one.after)
        from_name = f"a/{name}" if one.before else "/dev/null"
        to_name = f"b/{name}" if one.after else "/dev/null"
        lines = list(unified_diff(before, after, from_name, to_name, lineterm=""))
        if not lines:
            yield f"~ {name}: only secrets differ, or bytes that are the same JSON", COLOURS["update"]
        for line in lines:
            is_head = line.startswith(("---", "+++"))
            colour = None if is_head else {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
            yield line, colour

    def stat(self, found: Sequence[KeyChange]) -> Iterator[str]:
        """Yield how many resources of each type differ."""
        counts: dict[str, Counter[str]] = {}
        for one in found:
            type_ = type_of(one.key, self._prefix) or "other keys"
            counts.setdefault(type_, Counter())[op_of(one)] += 1
        for type_, ops in sorted(counts.items()):
            told = (f"{ops[op]:6} {word}" for op, word in _STAT_WORDS.items())
            yield f"{type_:16} {'  '.join(told)}"

    def _text(self, key: bytes, record: Record | None) -> list[str]:
        if record is None:
            return []
        value = document_of(record.value)
        if isinstance(value, Opaque):
            return [str(value)]
        told = value if self._reveal else masked(type_of(key, self._prefix), value)
        return msgspec.json.format(msgspec.json.encode(told), indent=2).decode().splitlines()


def _sayable(document: Any) -> Any:
    """Return *document* as JSON can say it."""
    return str(document) if isinstance(document, Opaque) else document
