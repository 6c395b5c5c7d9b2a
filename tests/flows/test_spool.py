"""The spool: what is sealed survives the process, the store's outage and a full disk, once each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from captures import Running, check, new_source, put, segments
from memory_store import MemoryStore
from spools import Folders, Outage, killed, waiting

from replicator.adapters.spool_folder import NoSpool
from replicator.core.records import Batch, size_bytes
from replicator.errors import ArchiveDamaged, StoreMisconfigured, StoreUnavailable
from replicator.flows import recover
from replicator.flows.inbox import GroupCommit
from replicator.flows.open_archive import open_archive
from replicator.flows.restore import restore
from replicator.flows.resume import resume

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("quick")


def test_what_waits_in_the_spool_outlives_the_process_and_etcds_memory() -> None:
    source, store, folders = new_source(), Outage(), Folders()
    running = Running(source, store, spools=folders.of_a_process())
    running.tells("watch.started")
    store.is_away = True
    for number, value in enumerate((b"2", b"3", b"4"), 1):
        put(source, value)
        running.waits(lambda number=number: waiting(folders) == number, "it is on disk")
        with source.changing() as etcd:
            source.compact(etcd.head)
    running.capture.stop()
    failure = running.ended()
    assert isinstance(failure, StoreUnavailable)
    assert "3 segments" in str(failure)
    assert "wait in the spool" in str(failure)

    healed = Outage(store)
    running = Running(source.again(), healed, spools=folders.of_a_process())
    running.tells("spool.recovered")
    running.tells("watch.started")
    running.stores(put(source, b"5"))
    running.stop()
    assert [epoch.reason for epoch in open_archive(healed).epochs] == ["first"]
    check(healed, source.etcd, 2)
    assert waiting(folders) == 0


def test_a_store_that_comes_back_gets_one_segment_for_all_that_waited() -> None:
    source, store, folders = new_source(), Outage(), Folders()
    running = Running(source, store, spools=folders.of_a_process())
    running.tells("watch.started")
    running.stores(put(source, b"2"))
    store.is_away = True
    for number in range(9):
        put(source, b"%d" % number)
        running.waits(lambda number=number: waiting(folders) == number + 1, "it is on disk")
    store.is_away = False
    running.stores(12)
    running.stop()
    assert len(list(store.names("e00000001/log/"))) < 5
    check(store, source.etcd, 2)


def test_what_is_joined_is_bounded_by_its_text_however_well_it_compresses() -> None:
    """Else it is beyond what a reader takes, and beyond the memory of whoever joins it."""
    source, store, folders = new_source(), Outage(), Folders()
    running = Running(source, store, GroupCommit(0.0, 100_000), spools=folders.of_a_process())
    running.tells("watch.started")
    store.is_away = True
    for number in range(12):
        put(source, b"%d" % number + bytes(30_000))
        running.waits(lambda number=number: waiting(folders) == number + 1, "it is on disk")
    store.is_away = False
    running.stores(14)
    running.stop()
    assert max(sum(map(size_bytes, segment.batches)) for segment in segments(store)) < 100_000
    check(store, source.etcd, 2)


def test_a_full_disk_is_told_and_what_comes_then_waits_in_memory() -> None:
    source, store, folders = new_source(), Outage(), Folders()
    running = Running(source, store, spools=folders.of_a_process())
    running.tells("watch.started")
    folders.fails = True
    running.stores(put(source, b"2"))
    store.is_away = True
    put(source, b"3")
    running.tells("spool.unavailable", 2)
    put(source, b"4")
    store.is_away, folders.fails = False, False
    running.stores(5)
    running.stop()
    check(store, source.etcd, 2)


def test_a_full_spool_holds_the_watch_back_and_loses_nothing() -> None:
    source, store, folders = new_source(), Outage(), Folders()
    running = Running(source, store, spools=folders.of_a_process(), spool_max_bytes=1500)
    running.tells("watch.started")
    store.is_away = True
    for number in range(30):
        put(source, b"%d" % number)
        running.waits(lambda number=number: number > 2 or waiting(folders) > number, "it is on disk")
    running.tells("spool.full")
    on_disk = sum(len(body) for place in folders.places.values() for body in place.objects.values())
    assert on_disk < 3000
    store.is_away = False
    running.stores(32)
    running.stop()
    check(store, source.etcd, 2)


def test_a_file_that_spoils_in_the_spool_never_reaches_the_archive() -> None:
    source, store, folders = new_source(), Outage(), Folders()
    running = Running(source, store, spools=folders.of_a_process())
    running.tells("watch.started")
    store.is_away = True
    for number in range(3):
        put(source, b"%d" % number)
        running.waits(lambda number=number: waiting(folders) == number + 1, "it is on disk")
    (place,) = folders.places.values()
    name = sorted(place.objects)[1]
    body = place.objects[name]
    place.objects[name] = body[:20] + bytes([body[20] ^ 1]) + body[21:]
    store.is_away = False
    running.tells("term.failed")
    running.tells("spool.damaged")
    running.stores(5)
    running.stop()
    check(store, source.etcd, 2)


class Unreadable(MemoryStore):
    """A disk that gives nothing back."""

    def get(self, name: str) -> bytes:
        """Fail."""
        raise StoreUnavailable(f"{name}: input/output error")


class Unlistable(MemoryStore):
    """A disk that doesn't even say what it holds."""

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Fail."""
        raise StoreUnavailable(f"{prefix}{after}: input/output error")


class Undecryptable(MemoryStore):
    """A spool whose files don't open: see `SealedStore`."""

    def get(self, name: str) -> bytes:
        """Fail."""
        raise ArchiveDamaged(f"{name} doesn't decrypt")


@pytest.mark.parametrize("disk", [Unreadable, Unlistable, Undecryptable])
def test_a_spool_that_cannot_be_read_back_is_told_and_recording_goes_on(disk) -> None:
    source, store, folders = new_source(), Outage(), Folders()
    folders.places["dead"] = disk()
    folders.places["dead"].create("e00000001/log/00000000000000000002.jsonl.zst", b"something")
    running = Running(source, store, spools=folders.of_a_process())
    running.tells("spool.damaged")
    running.stores(put(source, b"2"))
    running.stop()
    check(store, source.etcd, 2)


class Mounted(NoSpool):
    """A spool whose disk may be gone, or read-only."""

    is_gone = True

    def own(self, archive_id: str, writer: str) -> MemoryStore:
        """Return a folder, or fail."""
        if self.is_gone:
            raise StoreMisconfigured(f"{archive_id}/{writer}: read-only file system")
        return MemoryStore()


def test_a_spool_that_cannot_be_had_is_refused_at_the_start_and_done_without_later() -> None:
    source, store, spools = new_source(), Outage(), Mounted()
    assert isinstance(Running(source, store, spools=spools).ended(), StoreMisconfigured)
    spools.is_gone, source = False, source.again()
    running = Running(source, store, GroupCommit(0.4, 1 << 20), spools=spools)
    running.tells("watch.started")
    spools.is_gone = True
    put(source, b"2")
    revision, events = source.etcd.history[-1]
    name, body, *_ = resume(store, "rival").seal((Batch(revision, source.clock.now(), events),), None)
    store.create(str(name), body)
    running.tells("writer.fenced")
    running.tells("spool.unavailable")
    running.stores(put(source, b"3"))
    running.stop()
    check(store, source.etcd, 2)


def test_an_outage_that_another_machine_has_bridged_costs_a_look_or_two(monkeypatch) -> None:
    """A look restores a moment: one for each of thousands of segments would take hours."""
    looks: list[object] = []
    monkeypatch.setattr(recover, "restore", lambda *args: looks.append(args) or restore(*args))
    source, store, folders = new_source(), Outage(), Folders()
    running = Running(source, store, spools=folders.of_a_process())
    running.tells("watch.started")
    store.is_away = True
    for number in range(20):
        put(source, b"%d" % number)
        running.waits(lambda number=number: waiting(folders) == number + 1, "it is on disk")
    killed(running)
    healed = Outage(store)
    rival = Running(source.again(), healed)
    rival.stores(22)
    rival.stores(put(source, b"and on"))
    rival.stop()
    running = Running(source.again(), healed, spools=folders.of_a_process())
    running.tells("watch.started")
    running.stop()
    assert waiting(folders) == 0
    assert len(looks) <= 2
    check(healed, source.etcd, 2)
