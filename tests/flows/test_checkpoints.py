"""Checkpoints: as often as they are worth it, and never a reason to stop."""

from __future__ import annotations

from datetime import timedelta

import pytest
from archives import Scribe, quiet_log
from etcd_model import EtcdModel
from generators import START
from memory_store import FailingStore, MemoryStore
from servers.clock import SteppedClock

from replicator.core.records import Batch
from replicator.errors import WriterFenced
from replicator.flows.checkpoints import Cadence, Checkpoints
from replicator.flows.open_archive import read_checkpoint
from replicator.flows.tip import Tip, Watermark


class Bench:
    """A log's end, and checkpoints of it each 10 s, or each 60 s while nothing changes."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.clock = SteppedClock()
        self.log, self.kept = quiet_log()
        self.checkpoints = self.another()
        self._etcd = EtcdModel()
        self._scribe = Scribe(MemoryStore())
        self._scribe.open(self._etcd, START)

    def another(self) -> Checkpoints:
        """Return the checkpoints of another writer."""
        return Checkpoints(self.store, Cadence(10.0, 60.0), self.clock, self.log)

    @property
    def tip(self) -> Tip:
        """The log's end."""
        assert self._scribe.tip is not None
        return self._scribe.tip

    def change(self) -> None:
        """Move the log on by a revision."""
        self._etcd.put(b"/apisix/a", b"1")
        moment = START + timedelta(seconds=self._etcd.head)
        self._scribe.append([Batch(self._etcd.head, moment, self._etcd.history[-1][1])])

    def stored(self) -> tuple[int, int] | None:
        """Return position and watermark, as revisions, of the checkpoint that is stored."""
        checkpoint = read_checkpoint(self.store)
        return checkpoint and (checkpoint.position.revision, checkpoint.through_revision)

    def missed(self) -> int:
        """Return how many checkpoints were missed."""
        return sum(entry["event"] == "checkpoint.missed" for entry in self.kept.entries)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_first_is_written_at_once(bench) -> None:
    bench.checkpoints.consider(bench.tip)
    assert bench.stored() == (1, 1)


def test_changes_are_told_each_ten_seconds(bench) -> None:
    bench.checkpoints.consider(bench.tip)
    bench.change()
    bench.clock.sleep(9)
    bench.checkpoints.consider(bench.tip)
    assert bench.stored() == (1, 1)
    bench.clock.sleep(1)
    bench.checkpoints.consider(bench.tip)
    assert bench.stored() == (2, 2)


def test_that_nothing_changed_is_told_each_minute(bench) -> None:
    bench.checkpoints.consider(bench.tip)
    bench.tip.observe(Watermark(7, START + timedelta(seconds=30)))
    bench.clock.sleep(59)
    bench.checkpoints.consider(bench.tip)
    assert bench.stored() == (1, 1)
    bench.clock.sleep(1)
    bench.checkpoints.consider(bench.tip)
    assert bench.stored() == (1, 7)


def test_another_writers_checkpoint_is_replaced_at_the_second_attempt(bench) -> None:
    bench.checkpoints.write(bench.tip)
    bench.change()
    bench.another().write(bench.tip)
    bench.change()
    bench.checkpoints.write(bench.tip)
    assert (bench.stored(), bench.missed()) == ((2, 2), 1)
    bench.checkpoints.write(bench.tip)
    assert (bench.stored(), bench.missed()) == ((3, 3), 1)


@pytest.mark.parametrize("fate", ["away", "lost"])
def test_a_store_that_is_away_costs_one_checkpoint(fate) -> None:
    bench = Bench(FailingStore(["fine", fate]))
    bench.checkpoints.write(bench.tip)
    bench.change()
    bench.checkpoints.write(bench.tip)
    assert bench.missed() == 1
    bench.change()
    bench.checkpoints.write(bench.tip)
    assert (bench.stored(), bench.missed()) == ((3, 3), 1)


def test_a_checkpoint_beyond_our_log_fences_us(bench) -> None:
    bench.checkpoints.write(bench.tip)
    earlier = Bench(bench.store)
    bench.change()
    bench.checkpoints.write(bench.tip)
    with pytest.raises(WriterFenced, match="another writer has gone on to revision 2 of epoch 1"):
        earlier.checkpoints.write(earlier.tip)
    assert bench.stored() == (2, 2)
