"""The golden vectors, and how a file is compared with one: tests/vectors/README.md, "How to compare"."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from servers.etcd import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

VECTORS = ROOT / "tests/vectors"
_LONGEST_ID = 64


@dataclass(frozen=True)
class Vector:
    """One vector; *text* is its JSON."""

    name: str
    text: str

    def __str__(self) -> str:
        return self.name

    @cached_property
    def content(self) -> Any:
        """The vector as it was read."""
        return json.loads(self.text)

    @property
    def options(self) -> Any:
        """What is known of the gateway."""
        return self.content["options"]

    @property
    def prefix(self) -> str:
        """The prefix of the gateway's keys."""
        return str(self.options.get("prefix", "/apisix"))

    def pairs(self) -> Iterator[tuple[str, bytes, bool]]:
        """Yield each key with its value, and whether it has a lease."""
        for pair in self.content["kvs"]:
            value = pair.get("value_base64")
            yield (
                pair["key"],
                base64.b64decode(value) if value else pair["value"].encode(),
                bool(pair.get("lease")),
            )

    def told(self, what: str) -> set[str]:
        """Return the keys that the vector names under *what*, as far as a watch on the prefix sees them."""
        keys = (entry if isinstance(entry, str) else entry["key"] for entry in self.content.get(what, ()))
        return {key for key in keys if key.startswith(self.prefix)}

    def expected(self) -> Any:
        """Return the content that the file must have."""
        return self._comparable(self.content["expected"])

    def found(self, document: Any) -> Any:
        """Return what a parser read, fit to be compared with `expected`."""
        return self._comparable(document)

    def _comparable(self, document: Any) -> Any:
        either = {tuple(key.removeprefix(f"{self.prefix}/").split("/", 1)) for key in self.told("either")}
        sections = {
            name: [_plain(name, item) for item in items if (name, _id(item)) not in either]
            for name, items in document.items()
        }
        return _lua({name: items for name, items in sections.items() if items or name == "plugins"})


def vectors() -> list[Vector]:
    """Return all vectors, in the order of their numbers; at least one."""
    found = [Vector(path.stem, path.read_text()) for path in sorted(VECTORS.glob("*.json"))]
    assert found, f"no vectors in {VECTORS}"
    return found


def _id(item: Any) -> str:
    return str(item.get("id", item.get("username")))


def _plain(section: str, item: Any) -> Any:
    """A consumer's id says nothing that its name doesn't, up to the longest id."""
    name = item.get("username", "")
    if section == "consumers" and item.get("id") == name and len(name) <= _LONGEST_ID:
        return {key: value for key, value in item.items() if key != "id"}
    return item


def _lua(value: Any) -> Any:
    """Return *value* as Lua holds it: numbers are doubles, booleans are none, `[]` and `{}` are the same."""
    match value:
        case bool():
            return ("boolean", value)
        case int() | float():
            return float(value)
        case list():
            return [_lua(item) for item in value] or {}
        case dict():
            return {key: _lua(item) for key, item in value.items()}
    return value
