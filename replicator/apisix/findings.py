"""Look through an item for what a YAML file can't carry: nulls, odd texts, empty arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from replicator.apisix.report import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

Path: TypeAlias = "tuple[Path, str | int] | None"

_FREE_FORM = frozenset({"vars", "metadata", "discovery_args"})
"""Members outside plugin configurations below which APISIX's schemas allow anything, null too."""


@dataclass(frozen=True)
class Null:
    """A null: *name* is its member or index in *parent*; *in_plugin* if inside a plugin's configuration."""

    parent: Any = field(repr=False)
    name: str | int
    path: Path
    in_plugin: bool

    @property
    def droppable(self) -> bool:
        """Whether leaving the member out is the nearest a file can come."""
        return self.in_plugin and isinstance(self.parent, dict)

    @property
    def held_by_gateway(self) -> bool:
        """Whether a gateway that reads etcd accepts it: where schemas say nothing."""
        return self.in_plugin or not _FREE_FORM.isdisjoint(_parts(self.path)[:-1])


@dataclass
class Findings:
    """What was found in one item: paths of nulls and empty arrays, one of its odd texts if it has any."""

    nulls: list[Null] = field(default_factory=list)
    odd_text: str = ""
    empty_arrays: list[Path] = field(default_factory=list)
    has_template_key: bool = False
    depth: int = 0


_ITEM, _PLUGINS, _CONFIGURATION, _OTHER = range(4)
"""Where in an item a value stands: the item itself, its map of plugins, one configuration or below, else."""


def look_through(item: Any, *, has_plugins: bool = False, is_metadata: bool = False) -> Findings:
    """Return what is found in *item*, without recursion.

    Args:
        item: A decoded value.
        has_plugins: Its member `plugins` maps plugin names to configurations.
        is_metadata: The whole item is one plugin's.
    """
    found = Findings()
    start = _CONFIGURATION if is_metadata else _ITEM if has_plugins else _OTHER
    pending: list[tuple[Any, Path, int, int]] = [(item, None, start, 1)]
    while pending:
        value, path, place, depth = pending.pop()
        found.depth = max(found.depth, depth)
        if not value and isinstance(value, list):
            found.empty_arrays.append(path)
        for name, child in value.items() if isinstance(value, dict) else enumerate(value):
            if child is None:
                found.nulls.append(Null(value, name, (path, name), place == _CONFIGURATION))
                if place == _CONFIGURATION:
                    continue  # the name goes with it
            if isinstance(name, str):
                _look_at_key(found, name)
            if isinstance(child, str):
                _look_at_text(found, child)
            elif isinstance(child, (dict, list)):
                pending.append((child, (path, name), _place_below(place, name), depth + 1))
    return found


def numbers(item: Any) -> Iterator[tuple[float, Path]]:
    """Yield each number in *item* as a double, with its place, without recursion."""
    pending: list[tuple[Any, Path]] = [(item, None)]
    while pending:
        value, path = pending.pop()
        for name, child in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(child, (dict, list)):
                pending.append((child, (path, name)))
            elif isinstance(child, (int, float)) and not isinstance(child, bool):
                yield float(child), (path, name)


def _place_below(place: int, name: str | int) -> int:
    if place == _ITEM:
        return _PLUGINS if name == "plugins" else _OTHER
    return _CONFIGURATION if place == _PLUGINS else place


def _look_at_key(found: Findings, key: str) -> None:
    if key == "<<":
        found.odd_text = 'a map key "<<"'
    if "${{" in key:
        found.has_template_key = True
    _look_at_text(found, key)


def _look_at_text(found: Findings, text: str) -> None:
    if "\0" in text:
        found.odd_text = "a NUL character"
    if not text.isascii() and not is_utf8(text):
        found.odd_text = "bytes that are no UTF-8"


def is_utf8(text: str) -> bool:
    """Tell whether a decoded text was UTF-8, that is, has no surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parts(path: Path) -> list[str | int]:
    parts: list[str | int] = []
    while path is not None:
        path, part = path
        parts.append(part)
    return parts[::-1]


def told(paths: list[Path]) -> str:
    """Return *paths* as text, as in ``plugins.cors.a, vars[0][2]``; only the first three, each cut."""
    texts = sorted(_told(path) for path in paths[:3])
    return ", ".join(texts) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _told(path: Path) -> str:
    parts = _parts(path)
    ending = "…" if len(parts) > 8 else ""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{shortened(part)}" for part in parts[:8])
    return text.removeprefix(".") + ending or "the item"
