"""Fetching: side by side, in order, never more in hand than a few."""

from __future__ import annotations

import threading
from itertools import count, islice

import pytest
from memory_store import MemoryStore
from servers.command import until

from replicator.errors import ObjectMissing
from replicator.flows.fetch import fetch


class SlowStore(MemoryStore):
    """Answers only when all who are let in have asked; `asked` counts."""

    def __init__(self, side_by_side: int) -> None:
        super().__init__()
        self.asked = 0
        self._gate = threading.Barrier(side_by_side)

    def get(self, name: str) -> bytes:
        """Wait for the others, then answer."""
        self.asked += 1
        self._gate.wait(10)
        return name.encode()


def test_objects_come_in_the_order_of_their_names() -> None:
    store = MemoryStore()
    names = [f"{number:03d}" for number in range(100)]
    for name in names:
        store.create(name, name.encode())
    assert [(name, name.encode()) for name in reversed(names)] == list(fetch(store, reversed(names)))


def test_eight_are_fetched_side_by_side() -> None:
    names = [str(number) for number in range(16)]
    assert names == [name for name, _ in fetch(SlowStore(8), names)]


def test_names_are_read_no_further_than_objects_are_wanted() -> None:
    store = MemoryStore()
    store.get = lambda name: name.encode()  # type: ignore[method-assign]
    read: list[str] = []

    def endless():  # noqa: ANN202
        for number in count():
            read.append(str(number))
            yield str(number)

    fetching = fetch(store, endless())
    assert list(islice(fetching, 3)) == [("0", b"0"), ("1", b"1"), ("2", b"2")]
    assert len(read) <= 3 + 8
    fetching.close()
    until(lambda: not any(thread.name.startswith("fetch") for thread in threading.enumerate()), "no thread")


def test_a_missing_object_is_told_where_it_stands() -> None:
    store = MemoryStore()
    store.create("a", b"1")
    store.create("c", b"3")
    fetching = fetch(store, ["a", "b", "c"])
    assert next(fetching) == ("a", b"1")
    with pytest.raises(ObjectMissing):
        next(fetching)
