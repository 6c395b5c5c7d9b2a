"""Spools under test: what each process sees of a machine's disk, and a store that is away at times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_store import MemoryStore

from replicator.errors import StoreUnavailable
from replicator.flows.capture import Capture

if TYPE_CHECKING:
    from captures import Running


class Outage(MemoryStore):
    """A store that is away while *is_away* is set; *objects* may be shared with another."""

    def __init__(self, other: MemoryStore | None = None) -> None:
        super().__init__()
        if other is not None:
            self.objects = other.objects
        self.is_away = False

    def _check(self, name: str) -> None:
        if self.is_away:
            raise StoreUnavailable(f"{name}: away")

    def create(self, name: str, body: bytes) -> None:
        """Do as `MemoryStore`, or fail."""
        self._check(name)
        super().create(name, body)

    def get(self, name: str) -> bytes:
        """Do as `MemoryStore`, or fail."""
        self._check(name)
        return super().get(name)

    def replace(self, name: str, old: bytes | None, new: bytes) -> None:
        """Do as `MemoryStore`, or fail."""
        self._check(name)
        super().replace(name, old, new)


class Folders:
    """The spool of a test: each term's folder, as its process sees it; a dead one leaves its own.

    Attributes:
        places: What is on disk, by writer.
        fails: Whether the disk takes nothing.
    """

    def __init__(self) -> None:
        self.places: dict[str, MemoryStore] = {}
        self.fails = False

    def of_a_process(self) -> _Owned:
        """Return the spool as the next process sees it; all that is there belongs to the dead."""
        return _Owned(self)


class _Disk(MemoryStore):
    def __init__(self, folders: Folders) -> None:
        super().__init__()
        self._folders = folders

    def create(self, name: str, body: bytes) -> None:
        if self._folders.fails:
            raise StoreUnavailable(f"{name}: no space left on device")
        super().create(name, body)


class _Owned:
    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._own: set[str] = set()

    def own(self, archive_id: str, writer: str) -> MemoryStore:  # noqa: ARG002
        self._own.add(writer)
        return self._folders.places.setdefault(writer, _Disk(self._folders))

    def left(self, archive_id: str) -> list[MemoryStore]:  # noqa: ARG002
        return [place for writer, place in self._folders.places.items() if writer not in self._own]

    def release(self) -> None:
        self._own.clear()


def killed(running: Running) -> None:
    """End a capture as `kill -9` would: nothing more reaches the store, the spool or the lease."""
    capture = running.capture
    assert isinstance(capture, Capture)
    running.store.is_away = True  # type: ignore[attr-defined]
    capture.stop()
    running.ended()


def waiting(folders: Folders) -> int:
    """Return how many segments lie in the spool."""
    return sum(len(place.objects) for place in folders.places.values())
