"""A store that remembers what it has read, for commands that read the same objects again and again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.ports import ObjectStore

_LIMIT_BYTES = 256 << 20


class Remembering:
    """An `ObjectStore` over *inner*; of objects that never change, the last *limit_bytes* read are kept.

    Those are snapshots and pieces of the log: documents are read anew each time.
    """

    def __init__(self, inner: ObjectStore, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._inner = inner
        self._limit_bytes = limit_bytes
        self._guard = threading.Lock()
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._held_bytes = 0

    def __str__(self) -> str:
        return str(self._inner)

    def get(self, name: str) -> bytes:
        """Return the object: see `ObjectStore.get`."""
        with self._guard:
            if name in self._held:
                self._held.move_to_end(name)
                return self._held[name]
        body = self._inner.get(name)
        if name.endswith(".zst"):
            self._keep(name, body)
        return body

    def _keep(self, name: str, body: bytes) -> None:
        with self._guard:
            if name not in self._held:
                self._held[name] = body
                self._held_bytes += len(body)
            while self._held_bytes > self._limit_bytes and len(self._held) > 1:
                _, old = self._held.popitem(last=False)
                self._held_bytes -= len(old)

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the names that are there now: see `ObjectStore.names`."""
        return self._inner.names(prefix, after)

    def create(self, name: str, body: bytes) -> None:
        """Store an object: see `ObjectStore.create`."""
        self._inner.create(name, body)

    def delete(self, name: str) -> None:
        """Delete an object: see `ObjectStore.delete`."""
        self._inner.delete(name)

    def replace(self, name: str, old: bytes | None, new: bytes) -> None:
        """Replace an object: see `ObjectStore.replace`."""
        self._inner.replace(name, old, new)
