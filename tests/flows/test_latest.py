"""The newest state in plain form: never taken back, tried again, and only where something is new."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from archives import quiet_log
from memory_store import MemoryStore
from servers.command import until

from replicator.core.records import Position
from replicator.core.state import State
from replicator.errors import ObjectChanged, StoreUnavailable, WriterFenced
from replicator.flows import latest
from replicator.flows.latest import CONFIG, LatestObject, Publisher, said, with_comment

MOMENT = datetime(2026, 11, 26, tzinfo=UTC)


class Stage:
    """A publisher, and the store that it keeps its object in."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.log, self.kept = quiet_log()
        self.is_fenced = False
        self.publisher = self.another()

    def another(self) -> Publisher:
        """Return one more publisher of the same object, as of another process."""
        return Publisher(LatestObject(self.store, CONFIG, self._render), self.log, self._prove)

    def _render(self, state: State, line: str) -> bytes | None:
        return with_comment(b"state: %d" % state.revision, line) if state.revision else None

    def _prove(self) -> None:
        if self.is_fenced:
            raise WriterFenced("another writer has taken over")

    def offer(self, epoch: int, revision: int) -> None:
        """Offer the state at *revision*, and wait until that is done with."""
        self.publisher.offer(Position(epoch, revision), MOMENT, State(revision))
        self.publisher.finish()
        self.publisher = self.another()

    @property
    def held(self) -> Position | None:
        """What the object says of itself."""
        body = self.store.objects.get(CONFIG)
        return None if body is None else said(body)


@pytest.mark.parametrize(
    ("first", "second", "stays"),
    [
        ((1, 5), (1, 6), (1, 6)),
        ((1, 6), (1, 5), (1, 6)),
        ((1, 6), (2, 3), (2, 3)),
        ((2, 3), (1, 6), (2, 3)),
    ],
)
def test_what_is_there_is_replaced_by_what_is_newer_alone(first, second, stays) -> None:
    stage = Stage()
    stage.offer(*first)
    stage.offer(*second)
    assert stage.held == Position(*stays)


def test_the_same_is_not_written_again() -> None:
    stage = Stage()
    stage.offer(1, 5)
    stage.offer(1, 5)
    assert [entry["event"] for entry in stage.kept.entries] == ["latest.stored"]


def test_a_state_without_anything_to_keep_leaves_the_one_before() -> None:
    stage = Stage()
    stage.offer(1, 5)
    stage.offer(2, 0)
    assert stage.held == Position(1, 5)


def test_who_has_lost_the_lease_stores_nothing() -> None:
    stage = Stage()
    stage.is_fenced = True
    stage.offer(1, 5)
    assert stage.held is None


def test_of_two_that_meet_the_newer_one_wins() -> None:
    """The compare-and-set fails once, since another was quicker with something newer."""

    class Overtaken(MemoryStore):
        def replace(self, name: str, old: bytes | None, new: bytes) -> None:
            if old is None and name not in self.objects:
                self.objects[name] = with_comment(b"newer", "revision 9 of epoch 1, then")
                raise ObjectChanged(name)
            super().replace(name, old, new)

    stage = Stage(Overtaken())
    stage.offer(1, 5)
    assert stage.held == Position(1, 9)


def test_a_store_that_was_away_has_it_later(monkeypatch) -> None:
    monkeypatch.setattr(latest, "_RETRY_S", 0.01)

    class Away(MemoryStore):
        left = 3

        def get(self, name: str) -> bytes:
            self.left -= 1
            if self.left >= 0:
                raise StoreUnavailable("away")
            return super().get(name)

    stage = Stage(Away())
    stage.publisher.offer(Position(1, 5), MOMENT, State(5))
    until(lambda: stage.held == Position(1, 5), "the object")
    stage.publisher.finish()
    assert [entry["event"] for entry in stage.kept.entries] == ["latest.missed"] * 3 + ["latest.stored"]


def test_a_comment_within_the_file_says_nothing() -> None:
    body = b"# revision 99 of epoch 9, now\na: 1\n# revision 98 of epoch 9, now\nb: |\n  text"
    assert said(with_comment(body, "revision 5 of epoch 1, now")) == Position(1, 5)
    assert said(b"# another's\n") == Position(0, 0)
