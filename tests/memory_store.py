"""An `ObjectStore` in memory, and one that fails as it is told."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from replicator.errors import ObjectChanged, ObjectExists, ObjectMissing, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class MemoryStore:
    """Keeps the contract of `ObjectStore`; *objects* may be tampered with."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def create(self, name: str, body: bytes) -> None:
        """Store *body* if *name* is free, or holds it already."""
        with self._lock:
            if self.objects.setdefault(name, body) != body:
                raise ObjectExists(name)

    def get(self, name: str) -> bytes:
        """Return the object."""
        try:
            return self.objects[name]
        except KeyError:
            raise ObjectMissing(name) from None

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the names that begin with *prefix* and sort after *after*."""
        with self._lock:
            names = sorted(name for name in self.objects if name.startswith(prefix) and name > after)
        yield from names

    def delete(self, name: str) -> None:
        """Remove the object."""
        with self._lock:
            self.objects.pop(name, None)

    def replace(self, name: str, old: bytes | None, new: bytes) -> None:
        """Swap the object's bytes."""
        with self._lock:
            if self.objects.get(name) != old:
                raise ObjectChanged(name)
            self.objects[name] = new


class FailingStore(MemoryStore):
    """Fails writes by *script*: ``fine``, ``away`` (nothing done), ``lost`` (done, but nobody says so).

    The script holds for each `create` of what stays, call by call; after its end all is fine.
    """

    def __init__(self, script: Iterable[str] = ()) -> None:
        super().__init__()
        self._script = iter(script)

    def create(self, name: str, body: bytes) -> None:
        """Do as `MemoryStore`, or fail."""
        fate = self._fate(name)
        super().create(name, body)
        self._settle(fate, name)

    def _fate(self, name: str) -> str:
        if name.startswith("probe/"):
            return "fine"
        with self._lock:
            fate = next(self._script, "fine")
        if fate == "away":
            raise StoreUnavailable(f"{name}: the script says so")
        return fate

    def _settle(self, fate: str, name: str) -> None:
        if fate == "lost":
            raise StoreUnavailable(f"{name}: the acknowledgement is lost")


class DyingStore(MemoryStore):
    """Starts with *objects*; its process dies at call number *calls*, after the call if *is_done*."""

    def __init__(self, objects: dict[str, bytes], calls: int, *, is_done: bool) -> None:
        super().__init__()
        self.objects = dict(objects)
        self.has_changed = False
        self._calls = calls
        self._is_done = is_done

    def left(self) -> MemoryStore:
        """Return what the process leaves behind."""
        store = MemoryStore()
        store.objects = dict(self.objects)
        return store

    def get(self, name: str) -> bytes:
        """Do as `MemoryStore`; reads are repeated, and no step that could be interrupted."""
        return super().get(name)

    def create(self, name: str, body: bytes) -> None:
        """Do as `MemoryStore`, or die."""
        with self._step():
            super().create(name, body)

    def delete(self, name: str) -> None:
        """Do as `MemoryStore`, or die."""
        with self._step():
            super().delete(name)

    @contextmanager
    def _step(self) -> Iterator[None]:
        is_last = self._calls == 0
        self._calls -= 1
        if self._calls < 0 and not (is_last and self._is_done):
            raise StoreUnavailable("the process is dead")
        yield
        self.has_changed = True
        if is_last:
            raise StoreUnavailable("the process is dead")
