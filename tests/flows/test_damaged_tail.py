"""A log that comes damaged when it is a writer's turn: once, or for good."""

from __future__ import annotations

import pytest
from captures import Running, capturing, check, new_source, put
from memory_store import MemoryStore

from replicator.errors import ArchiveDamaged

pytestmark = pytest.mark.usefixtures("quick")


def test_what_was_damaged_on_its_way_is_read_again() -> None:
    source, store = new_source(), Flipping()
    with capturing(source, store) as running:
        running.stores(put(source, b"2"))
    store.flips = 2
    with capturing(source.again(), store) as running:
        running.stores(put(source, b"3"))
    assert len(running.events("term.failed")) == 2
    assert store.flips == 0
    check(store, source.etcd, 2)


def test_what_is_damaged_however_often_it_is_read_ends_the_recording() -> None:
    source, store = new_source(), Flipping()
    with capturing(source, store):
        pass
    store.flips = 3
    running = Running(source.again(), store)
    assert isinstance(running.ended(), ArchiveDamaged)


class Flipping(MemoryStore):
    """A store whose way spoils the epoch's document *flips* times."""

    flips = 0

    def get(self, name: str) -> bytes:
        """Return the object, or what has become of it."""
        body = super().get(name)
        if not self.flips or not name.endswith("epoch.json"):
            return body
        self.flips -= 1
        return body[:-9]
