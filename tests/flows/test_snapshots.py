"""Snapshots: when the tail outweighs the state, by the schedule if anything changed, one at a time."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from archives import Scribe, quiet_log
from etcd_model import EtcdModel
from generators import START
from memory_store import MemoryStore
from servers.clock import SteppedClock

from replicator.core.objects import decode_snapshot
from replicator.core.records import Batch
from replicator.core.schedule import Schedule
from replicator.core.snapshot_rule import TAIL_FLOOR_BYTES
from replicator.errors import ObjectExists
from replicator.flows.snapshots import Snapshots

if TYPE_CHECKING:
    from replicator.flows.tip import Tip


class Bench:
    """A log's end, and snapshots of it at the latest each minute."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = SteppedClock()
        self.log, self.kept = quiet_log()
        self.snapshots = Snapshots(self.store, Schedule("@every 1m"), self.clock, self.log)
        self._etcd = EtcdModel()
        self._scribe = Scribe(MemoryStore())
        self._scribe.open(self._etcd, START)

    @property
    def tip(self) -> Tip:
        """The log's end."""
        assert self._scribe.tip is not None
        return self._scribe.tip

    def change(self, size_bytes: int = 1) -> None:
        """Move the log on by a revision of so many bytes."""
        self._etcd.put(b"/apisix/a", b"x" * size_bytes)
        moment = START + timedelta(seconds=self._etcd.head)
        self._scribe.append([Batch(self._etcd.head, moment, self._etcd.history[-1][1])])

    def consider(self) -> None:
        """Consider a snapshot of what is all stored."""
        self.snapshots.consider(self.tip)
        self.snapshots.stored(self.tip.log_end)

    def cut(self) -> list[int]:
        """Consider a snapshot, wait for it, and return the revisions of all that there are."""
        self.consider()
        self.snapshots.finish()
        return [decode_snapshot(body, name).state.revision for name, body in self.store.objects.items()]


def test_nothing_is_cut_without_a_change() -> None:
    bench = Bench()
    bench.clock.sleep(3600)
    assert bench.cut() == []


def test_a_change_is_cut_by_the_schedule_and_once() -> None:
    bench = Bench()
    bench.change()
    bench.clock.sleep(59)
    assert bench.cut() == []
    bench.clock.sleep(1)
    assert bench.cut() == [2]
    bench.clock.sleep(60)
    assert bench.cut() == [2]
    bench.change()
    bench.clock.sleep(60)
    assert bench.cut() == [2, 3]


def test_a_tail_that_outweighs_the_state_is_cut_before() -> None:
    bench = Bench()
    bench.change(TAIL_FLOOR_BYTES)
    assert bench.cut() == [2]
    assert bench.cut() == [2]
    bench.change(10)
    assert bench.cut() == [2]


def test_only_one_is_under_way_at_a_time() -> None:
    bench, gate, create = Bench(), threading.Event(), MemoryStore.create

    def slow(name: str, body: bytes) -> None:
        gate.wait(10)
        create(bench.store, name, body)

    bench.store.create = slow  # type: ignore[method-assign]
    bench.change(TAIL_FLOOR_BYTES)
    bench.consider()
    bench.change(TAIL_FLOOR_BYTES + 1)
    bench.consider()
    bench.change()
    gate.set()
    bench.snapshots.finish()
    assert bench.cut() == [2, 4]


def test_a_snapshot_that_is_there_already_is_as_good_as_ours() -> None:
    bench = Bench()

    def taken(name: str, _: bytes) -> None:
        raise ObjectExists(name)

    bench.store.create = taken  # type: ignore[method-assign]
    bench.change()
    bench.clock.sleep(60)
    bench.cut()
    assert bench.kept.entries == []
