"""What has changed within a resource: field by field, as a patch (RFC 6902) and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from replicator.apisix.report import shown_name
from replicator.apisix.secrecy import HIDDEN, hides, masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Path: TypeAlias = tuple[str | int, ...]

_LONGEST: Final = 60  # characters of a value that words show


class Opaque(NamedTuple):
    """A value that is no JSON, or none that can be read: all that is told of it is its size."""

    size_bytes: int

    def __str__(self) -> str:
        return f"<{self.size_bytes} bytes, no JSON>"


class FieldChange(NamedTuple):
    """One step of a patch: what *path* had before, and has after; for an *op* that has both."""

    op: Literal["add", "remove", "replace"]
    path: Path
    before: Any = None
    after: Any = None


def document_of(value: bytes) -> Any:
    """Return what *value* holds as JSON, or an `Opaque`."""
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Opaque(len(value))


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two documents are alike: members in any order, and 1, 1.0 and true are three values."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return type(one) is type(other) and bool(one == other)


def changed(before: Any, after: Any, path: Path = ()) -> Iterator[FieldChange]:
    """Yield the steps from *before* to *after*, each on what the steps before it have made."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() - after.keys()):
            yield FieldChange("remove", (*path, name), before[name])
        for name, value in after.items():
            if name in before:
                yield from changed(before[name], value, (*path, name))
            else:
                yield FieldChange("add", (*path, name), None, value)
    elif isinstance(before, list) and isinstance(after, list):
        common = min(len(before), len(after))
        for place in range(common):
            yield from changed(before[place], after[place], (*path, place))
        for place in reversed(range(common, len(before))):
            yield FieldChange("remove", (*path, place), before[place])
        for place in range(common, len(after)):
            yield FieldChange("add", (*path, place), None, after[place])
    elif not is_same(before, after):
        yield FieldChange("replace", path, before, after)


def patch(type_: str | None, before: Any, after: Any, *, reveal: bool) -> list[dict[str, Any]]:
    """Return RFC 6902's operations from *before* to *after*, documents of a resource of *type_*.

    Unless *reveal*, `HIDDEN` stands for each secret: such a patch is to be read, not to be applied.
    """
    steps = []
    for step in changed(before, after):
        operation: dict[str, Any] = {"op": step.op, "path": pointer(step.path)}
        if step.op != "remove":
            operation["value"] = step.after if reveal else masked(type_, step.after, step.path)
        steps.append(operation)
    return steps


def pointer(path: Path) -> str:
    """Return *path* as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(name).replace("~", "~0").replace("/", "~1") for name in path)


def dotted(path: Path) -> str:
    """Return *path* for people: ``upstream.nodes[0].weight``, printable."""
    text = ""
    for name in path:
        text += f"[{name}]" if isinstance(name, int) else f".{_printable(name)}"
    return text.removeprefix(".") or "the value"


def words(type_: str | None, before: Any, after: Any, *, reveal: bool = False) -> list[str]:
    """Return what has changed from *before* to *after* as people say it, a line for each field."""
    return [
        line
        for path, old, new in _told((), _named(before), _named(after))
        for line in _lines(type_, path, old, new, reveal=reveal)
    ]


class _Missing:
    """No value."""


_MISSING: Final = _Missing()


def _told(path: Path, before: Any, after: Any) -> Iterator[tuple[Path, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from _told((*path, name), before.get(name, _MISSING), after.get(name, _MISSING))
    elif isinstance(before, list) and isinstance(after, list) and not (_is_flat(before) and _is_flat(after)):
        for place in range(max(len(before), len(after))):
            old = before[place] if place < len(before) else _MISSING
            new = after[place] if place < len(after) else _MISSING
            yield from _told((*path, place), old, new)
    elif not is_same(before, after):
        yield path, before, after


def _lines(type_: str | None, path: Path, old: Any, new: Any, *, reveal: bool) -> Iterator[str]:
    if _is_weight(path) and (old is _MISSING or new is _MISSING):
        sign, weight = ("+", new) if old is _MISSING else ("-", old)
        yield f"{dotted(path[:-1])}: {sign}{_printable(str(path[-1]))} weight {_text(weight)}"
        return
    where = _where(path)
    if not reveal and hides(type_, path):
        change = "added" if old is _MISSING else "removed" if new is _MISSING else "changed"
        yield f"{where}: {HIDDEN} {change}"
    elif isinstance(old, list) and isinstance(new, list):
        yield f"{where}: {_list_words(old, new)}"
    elif old is _MISSING:
        yield f"{where}: added {_value(type_, path, new, reveal=reveal)}"
    elif new is _MISSING:
        yield f"{where}: removed {_value(type_, path, old, reveal=reveal)}"
    else:
        old_text, new_text = (_value(type_, path, one, reveal=reveal) for one in (old, new))
        yield f"{where}{':' if not _is_weight(path) else ''} {old_text} -> {new_text}"


def _list_words(old: list[Any], new: list[Any]) -> str:
    gone = [one for one in old if not any(is_same(one, other) for other in new)]
    come = [one for one in new if not any(is_same(one, other) for other in old)]
    if not gone and not come:
        return "in another order" if len(old) == len(new) else f"{len(old)} entries -> {len(new)}"
    return " ".join([*(f"-{_text(one)}" for one in gone), *(f"+{_text(one)}" for one in come)])


def _is_weight(path: Path) -> bool:
    """Tell whether *path* leads to a node's weight: ``nodes`` as an object of addresses."""
    return len(path) > 1 and path[-2] == "nodes" and isinstance(path[-1], str)


def _where(path: Path) -> str:
    if _is_weight(path):
        return f"{dotted(path[:-1])}: {_printable(str(path[-1]))} weight"
    if len(path) > 2 and path[-3] == "nodes" and isinstance(path[-2], str):
        return f"{dotted(path[:-2])}: {_printable(str(path[-2]))} {dotted(path[-1:])}"
    return dotted(path)


def _named(document: Any) -> Any:
    """Return *document* with the nodes of upstreams under their addresses, however they are written."""
    if isinstance(document, list):
        return [_named(value) for value in document]
    if not isinstance(document, dict):
        return document
    return {
        name: _by_address(value) if name == "nodes" and isinstance(value, list) else _named(value)
        for name, value in document.items()
    }


def _by_address(nodes: Sequence[Any]) -> Any:
    if not all(isinstance(node, dict) and isinstance(node.get("host"), str) for node in nodes):
        return [_named(node) for node in nodes]
    found: dict[str, Any] = {}
    for node in nodes:
        rest = {name: value for name, value in node.items() if name not in ("host", "port")}
        address = f"{node['host']}:{node['port']}" if "port" in node else node["host"]
        if address in found:
            return [_named(one) for one in nodes]
        found[address] = rest["weight"] if rest.keys() == {"weight"} else rest
    return found


def _is_flat(values: Sequence[Any]) -> bool:
    return not any(isinstance(value, dict | list) for value in values)


def _value(type_: str | None, path: Path, value: Any, *, reveal: bool) -> str:
    return _text(value if reveal else masked(type_, value, path))


def _text(value: Any) -> str:
    if isinstance(value, Opaque):
        return str(value)
    try:
        text = msgspec.json.encode(value).decode()
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        text = "..."
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _printable(name: str) -> str:
    text = shown_name(name)
    return text if text.isprintable() else repr(text)[1:-1]
