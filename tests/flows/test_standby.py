"""Several captures on one archive: one writes, the others take over, and the log stays one."""

from __future__ import annotations

import pytest
from captures import OFTEN, SILENCE_S, Running, check, new_source, put, recorded
from memory_store import MemoryStore
from servers.command import until

from replicator.core.names import LogName
from replicator.core.records import Batch, Event, Record
from replicator.errors import ArchiveDamaged, ObjectExists, StoreUnavailable, WriterFenced
from replicator.flows.inbox import GroupCommit
from replicator.flows.lease import Cadence, look
from replicator.flows.open_archive import open_archive
from replicator.flows.resume import resume

pytestmark = pytest.mark.usefixtures("quick")


class Cuttable(MemoryStore):
    """A store that one process can be cut off from."""

    def __init__(self, whole: MemoryStore) -> None:
        super().__init__()
        self.objects, self._lock = whole.objects, whole._lock
        self.is_cut = False

    def _check(self) -> None:
        if self.is_cut:
            raise StoreUnavailable("cut off")

    def create(self, name: str, body: bytes) -> None:
        """Do as `MemoryStore`, or fail."""
        self._check()
        super().create(name, body)

    def get(self, name: str) -> bytes:
        """Do as `MemoryStore`, or fail."""
        self._check()
        return super().get(name)

    def replace(self, name: str, old: bytes | None, new: bytes) -> None:
        """Do as `MemoryStore`, or fail."""
        self._check()
        super().replace(name, old, new)


def test_of_two_one_writes_and_the_other_takes_over_when_that_stops() -> None:
    source, store = new_source(), MemoryStore()
    first = Running(source, store)
    first.tells("watch.started")
    second = Running(source.again(), store)
    second.tells("standby.waiting")
    first.tells("standby.noticed")
    first.stores(put(source, b"2"))
    first.stop()
    second.tells("watch.started")
    second.stores(put(source, b"3"))
    second.stop()
    check(store, source.etcd, 2)
    assert second.events("lease.taken")[0]["term"] == 2


def test_a_writer_that_is_cut_off_from_the_store_is_relieved_and_then_stands_by() -> None:
    source, store = new_source(), MemoryStore()
    cut = Cuttable(store)
    first = Running(source, cut)
    first.tells("watch.started")
    second = Running(source.again(), store)
    first.tells("standby.noticed")
    cut.is_cut = True
    lost = put(source, b"2")
    second.tells("watch.started")
    second.stores(lost)
    cut.is_cut = False
    first.tells("writer.fenced")
    first.tells("standby.waiting")
    second.stores(put(source, b"3"))
    second.stop()
    first.stores(put(source, b"4"))
    first.stop()
    check(store, source.etcd, 2)


def test_a_writer_that_is_cut_off_from_etcd_makes_room_for_one_that_isnt() -> None:
    source, store = new_source(), MemoryStore()
    first = Running(source, store)
    first.tells("watch.started")
    other = source.again()
    second = Running(other, store)
    first.tells("standby.noticed")
    with source.changing():
        source.outages = 10**6
        source.cut()
    second.tells("watch.started")
    second.stores(put(other, b"2"))
    assert first.events("writer.fenced") != []
    second.stop()
    with source.changing():
        source.outages = 0
    first.capture.stop()
    assert first.ended() is None
    check(store, source.etcd, 2)


def test_without_a_standby_a_writer_keeps_the_lease_however_long_etcd_is_away() -> None:
    source, store = new_source(), MemoryStore()
    running = Running(source, store)
    running.tells("watch.started")
    with source.changing():
        source.outages = 40
        source.cut()
    running.stores(put(source, b"2"))
    running.stop()
    assert running.events("writer.fenced") == []


def test_what_another_writer_stored_is_adopted() -> None:
    source, store = new_source(), MemoryStore()
    running = Running(source, store, GroupCommit(0.4, 1 << 20))
    running.tells("watch.started")
    put(source, b"2")
    other = resume(store, "another-writer")
    revision, events = source.etcd.history[-1]
    moment = source.clock.now()
    name, body, *_ = other.seal((Batch(revision, moment, events),), None)
    store.create(str(name), body)
    running.tells("writer.fenced")
    running.tells("watch.started", 2)
    running.stores(put(source, b"3"))
    running.stop()
    check(store, source.etcd, 2)
    assert store.objects[str(name)] == body


def test_a_stray_under_the_next_name_is_removed() -> None:
    """It is whole, but continues another log: its writer had slept since before a merge."""
    source, store = new_source(), MemoryStore()
    running = Running(source, store)
    running.tells("watch.started")
    stray = resume(store, "stale-writer")
    stray.anchor = "0" * 64
    event = Event(b"/apisix/b", Record(b"x", 3, 3, 1, 0))
    name, body, *_ = stray.seal((Batch(3, source.clock.now(), (event,)),), None)
    store.create(str(name), body)
    running.stores(put(source, b"2"))
    running.stop()
    assert [event["object"] for event in running.events("stray.removed")] == [str(name)]
    check(store, source.etcd, 2)


def test_bytes_under_the_next_name_that_nobody_can_read_are_left_alone() -> None:
    source, store = new_source(), MemoryStore()
    running = Running(source, store)
    running.tells("watch.started")
    store.create(str(LogName(1, 2)), b"nobody knows what")
    put(source, b"2")
    assert isinstance(running.ended(), ArchiveDamaged)
    assert store.objects[str(LogName(1, 2))] == b"nobody knows what"


@pytest.mark.parametrize("attempt", range(5))
def test_captures_that_found_one_archive_at_once_leave_it_whole(attempt) -> None:
    source, store = new_source(), MemoryStore()
    group = [Running(each, store) for each in (source, source.again(), source.again())]
    put(source, b"%d" % attempt)
    until(lambda: any(each.events("watch.started") for each in group), "one writes")
    last = put(source, b"again")
    until(lambda: last in [revision for _, revision in recorded(store)], "it is recorded")
    for each in group:
        each.stop()
    (epoch,) = open_archive(store).epochs
    check(store, source.etcd, epoch.base)


def test_the_lease_goes_round_in_a_group_whose_writers_stop_one_by_one() -> None:
    source, store = new_source(), MemoryStore()
    group = [Running(source, store)]
    group[0].tells("watch.started")
    group += [Running(source.again(), store) for _ in range(2)]
    for number in range(3):
        until(lambda: any(each.events("watch.started") for each in group), "one writes")
        writer = next(each for each in group if each.events("watch.started"))
        writer.stores(put(source, b"%d" % number))
        writer.stop()
        group.remove(writer)
    check(store, source.etcd, 2)
    seen = look(store)
    assert seen.checkpoint is not None
    assert (seen.claim, seen.checkpoint.position.revision) == (None, 5)


class Overwriting(MemoryStore):
    """A store that knows no conditions, as some do without a word."""

    def create(self, name: str, body: bytes) -> None:
        """Overwrite what is there."""
        self.objects[name] = body


@pytest.mark.parametrize("cadence", [OFTEN, Cadence(3600.0, 3600.0)])
def test_on_a_store_without_conditions_a_second_writer_gives_up(cadence) -> None:
    source, store = new_source(), Overwriting()
    first = Running(source, store, cadence=cadence)
    first.tells("store.unconditional")
    first.tells("watch.started")
    second = Running(source.again(), store)
    failure = second.ended()
    assert isinstance(failure, WriterFenced)
    assert "its store can't keep two apart" in str(failure)
    first.stores(put(source, b"2"))
    first.stop()
    alone = Running(source.again(), store)
    alone.tells("watch.started")
    alone.stop()


def test_a_killed_writer_is_waited_for_as_long_as_it_had_promised() -> None:
    source, store = new_source(), MemoryStore()
    first = Running(source, store)
    first.tells("watch.started")
    first.capture._term._lease._store = Cuttable(store)  # type: ignore[union-attr]
    first.capture._term._lease._store.is_cut = True  # type: ignore[union-attr]
    begun = source.clock.monotonic()
    second = Running(source.again(), store)
    second.tells("watch.started")
    assert source.clock.monotonic() - begun > SILENCE_S * 0.9
    with pytest.raises(ObjectExists):
        store.create("archive.json", b"")
    second.stop()
    first.capture.stop()
    first.ended()
