"""Read restored files: the lines of an item, and what differs between two of them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.demo.story import Part

_TIMES: Final = frozenset({"create_time", "update_time"})
_NAMES: Final = ("id", "username")
_ABSENT: Final = object()
_SECRET: Final = re.compile(r'(\bkey"?: ?"[^"]{6})[^"]*"')

Items = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class FieldChange:
    """A field, as a dotted path; None for a value that isn't there."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Change:
    """What differs in one item, ``<section>/<name>``: at least one field, all of them if it came or went."""

    item: str
    kind: Literal["new", "gone", "changed"]
    fields: tuple[FieldChange, ...]


def items_of(text: str) -> Items:
    """Return the items of the YAML file that *text* is, by ``<section>/<name>``, in its order."""
    sections = yaml.safe_load(text) or {}
    return {f"{section}/{_name(item)}": item for section, items in sections.items() for item in items}


def changes(before: Items, after: Items) -> tuple[Change, ...]:
    """Return what differs from *before* to *after*, sorted by item; their times aside."""
    found = (
        _change(item, before.get(item), after.get(item)) for item in sorted(before.keys() | after.keys())
    )
    return tuple(change for change in found if change.fields)


def excerpt(text: str, part: Part) -> list[str]:
    """Return the lines of *part* out of a restored file in block style; none if it isn't there."""
    lines = text.splitlines()
    root = yaml.compose(text)
    for section, items in root.value if root else ():
        for item in items.value if section.value == part.section else ():
            fields = {key.value: (key.start_mark.line, _last_line(value)) for key, value in item.value}
            if _label(item) == part.name:
                wanted = [fields[name] for name in (*_NAMES, *part.fields) if name in fields]
                return [
                    f"{part.section}:",
                    *(line for first, last in wanted for line in lines[first : last + 1]),
                ]
    return []


def shortened(line: str) -> str:
    """Return *line* of YAML or JSON with the text of a ``key`` cut short: it opens doors."""
    return _SECRET.sub(r'\1..."', line)


def _name(item: dict[str, Any]) -> str:
    return str(next(item[name] for name in _NAMES if name in item))


def _change(item: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> Change:
    kind: Literal["new", "gone", "changed"] = "new" if old is None else "gone" if new is None else "changed"
    return Change(item, kind, tuple(_fields("", old or {}, new or {})))


def _fields(path: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[FieldChange]:
    """Yield the fields that differ; objects without a common member differ as a whole."""
    for name in dict.fromkeys([*old, *new]):
        was, is_now = old.get(name, _ABSENT), new.get(name, _ABSENT)
        if was == is_now or name in _TIMES:
            continue
        if isinstance(was, dict) and isinstance(is_now, dict) and was.keys() & is_now.keys():
            yield from _fields(f"{path}{name}.", was, is_now)
        else:
            yield FieldChange(path + name, *(None if value is _ABSENT else value for value in (was, is_now)))


def _label(item: yaml.MappingNode) -> str:
    return str(next(value.value for key, value in item.value if key.value in _NAMES))


def _last_line(node: yaml.Node) -> int:
    """Return the line on which *node* ends; the end mark of a block lies behind it."""
    while isinstance(node, yaml.CollectionNode) and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, yaml.MappingNode) else last
    mark = node.end_mark
    return int(mark.line if mark.column else mark.line - 1)
