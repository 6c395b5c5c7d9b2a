"""Since when each field of a resource has its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from replicator.apisix.fields import is_same

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.apisix.fields import Path

Origin = TypeVar("Origin")


class Field(NamedTuple, Generic[Origin]):
    """A leaf of a document, and what gave it its value."""

    path: Path
    value: Any
    origin: Origin


class Blame(Generic[Origin]):
    """Follows one resource's documents, each with its origin, whatever that is.

    A field keeps its origin as long as its value stays: of an object by name, of an array by place.
    """

    def __init__(self) -> None:
        self._fields: dict[Path, Field[Origin]] = {}

    def take(self, document: Any, origin: Origin) -> None:
        """Go on to *document*, which *origin* made."""
        fields = {}
        for path, value in _leaves((), document):
            old = self._fields.get(path)
            is_old = old is not None and is_same(old.value, value)
            fields[path] = old if old is not None and is_old else Field(path, value, origin)
        self._fields = fields

    def clear(self) -> None:
        """The resource was deleted: what comes next is new."""
        self._fields = {}

    def fields(self) -> list[Field[Origin]]:
        """Return all fields of the last document, in its order."""
        return list(self._fields.values())


def _leaves(path: Path, document: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(document, dict) and document:
        for name, value in document.items():
            yield from _leaves((*path, name), value)
    elif isinstance(document, list) and document:
        for place, value in enumerate(document):
            yield from _leaves((*path, place), value)
    else:
        yield path, document
