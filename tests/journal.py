"""An `ObjectStore` in memory that remembers what was done to it, and what it was asked."""

from __future__ import annotations

from typing import Any

from memory_store import MemoryStore

from replicator.errors import StoreUnavailable


class Journal(MemoryStore):
    """Remembers what is done to it, to be done again step by step; counts what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[str, bytes | None]] = []
        self.asked: list[str] = []
        self.is_away = False

    def create(self, name: str, body: bytes) -> None:
        """Do as `MemoryStore`."""
        super().create(name, body)
        self.steps.append((name, body))

    def replace(self, name: str, old: bytes | None, new: bytes) -> None:
        """Do as `MemoryStore`."""
        super().replace(name, old, new)
        self.steps.append((name, new))

    def delete(self, name: str) -> None:
        """Do as `MemoryStore`."""
        super().delete(name)
        self.steps.append((name, None))

    def get(self, name: str) -> bytes:
        """Do as `MemoryStore`, unless it is away."""
        self.asked.append(name)
        if self.is_away:
            raise StoreUnavailable("away")
        return super().get(name)

    def names(self, prefix: str, after: str = "") -> Any:
        """Do as `MemoryStore`."""
        self.asked.append(f"LIST {prefix}")
        return super().names(prefix, after)
