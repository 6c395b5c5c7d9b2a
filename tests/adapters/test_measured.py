"""A measured store answers as the one behind it does, and each request is told of: how it ended, how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_store import MemoryStore

from replicator.adapters.measured import MeasuredStore
from replicator.errors import (
    ArchiveDamaged,
    ObjectChanged,
    ObjectExists,
    ObjectMissing,
    StoreMisconfigured,
    StoreUnavailable,
)
from replicator.telemetry.metrics import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicator.ports import ObjectStore


class Hand:
    """A clock that the test moves on."""

    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.at


class Ear(Silent):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, str, str]] = []

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Keep it."""
        super().observe(name, value, **labels)
        self.heard.append((round(value, 3), labels["operation"], labels["result"]))


class Slow(MemoryStore):
    """Takes a second for each request and for each name, and fails with *failure* if there is one."""

    def __init__(self, clock: Hand, failure: Exception | None = None) -> None:
        super().__init__()
        self._clock = clock
        self._failure = failure

    def _pass(self) -> None:
        self._clock.at += 1
        if self._failure is not None:
            raise self._failure

    def create(self, name: str, body: bytes) -> None:
        """Do it slowly."""
        self._pass()
        super().create(name, body)

    def get(self, name: str) -> bytes:
        """Do it slowly."""
        self._pass()
        return super().get(name)

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Do it slowly."""
        for name in super().names(prefix, after):
            self._pass()
            yield name

    def delete(self, name: str) -> None:
        """Do it slowly."""
        self._pass()
        super().delete(name)

    def replace(self, name: str, old: bytes | None, new: bytes) -> None:
        """Do it slowly."""
        self._pass()
        super().replace(name, old, new)


def measured(failure: Exception | None = None) -> tuple[MeasuredStore, Ear, Slow, Hand]:
    clock, ear = Hand(), Ear()
    slow = Slow(clock, failure)
    return MeasuredStore(slow, ear, clock), ear, slow, clock  # type: ignore[arg-type]


def test_each_request_is_told_of() -> None:
    store, ear, _, _ = measured()
    store.create("a", b"1")
    store.replace("b", None, b"2")
    with pytest.raises(ObjectExists):
        store.create("a", b"other")
    with pytest.raises(ObjectChanged):
        store.replace("b", b"other", b"3")
    assert store.get("a") == b"1"
    store.delete("a")
    with pytest.raises(ObjectMissing):
        store.get("a")

    assert ear.heard == [
        (1, "create", "ok"),
        (1, "replace", "ok"),
        (1, "create", "exists"),
        (1, "replace", "changed"),
        (1, "get", "ok"),
        (1, "delete", "ok"),
        (1, "get", "missing"),
    ]


def test_a_listing_takes_the_stores_time_and_not_the_readers() -> None:
    store, ear, slow, clock = measured()
    for name in "abc":
        MemoryStore.create(slow, name, b"")
    for _ in store.names(""):
        clock.at += 100
    listing = store.names("")
    next(listing)
    listing.close()  # type: ignore[attr-defined]

    assert ear.heard == [(3, "names", "ok"), (1, "names", "ok")]


ASKED: list[Callable[[ObjectStore], object]] = [
    lambda store: store.create("new", b""),
    lambda store: store.get("a"),
    lambda store: list(store.names("")),
    lambda store: store.delete("a"),
    lambda store: store.replace("a", b"", b"1"),
]


@pytest.mark.parametrize(
    ("failure", "result"),
    [
        (StoreUnavailable("away"), "unavailable"),
        (StoreMisconfigured("no such bucket"), "refused"),
        (ArchiveDamaged("it doesn't decrypt"), "damaged"),
    ],
)
@pytest.mark.parametrize("ask", ASKED)
def test_a_failure_passes_and_is_told_of(
    failure: Exception, result: str, ask: Callable[[ObjectStore], object]
) -> None:
    store, ear, slow, _ = measured(failure)
    MemoryStore.create(slow, "a", b"")
    with pytest.raises(type(failure)):
        ask(store)

    assert [(taken_s, how) for taken_s, _, how in ear.heard] == [(1, result)]
