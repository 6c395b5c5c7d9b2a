"""The spool: what is sealed survives the process, the store's outage and a full disk, once each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from captures import ModelSource, Running, batches, check, new_source, put, recorded, segments
from etcd_model import EtcdModel
from generators import histories, played, steps
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore

from replicator.adapters.spool_folder import NoSpool, SpoolFolders
from replicator.core.plan import Latest
from replicator.core.records import Batch, size_bytes
from replicator.errors import ArchiveDamaged, StoreMisconfigured, StoreUnavailable
from replicator.flows import recover
from replicator.flows.capture import Capture
from replicator.flows.inbox import GroupCommit
from replicator.flows.open_archive import open_archive
from replicator.flows.restore import restore
from replicator.flows.resume import resume

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("quick")


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
    name, body, _ = resume(store, "rival").seal((Batch(revision, source.clock.now(), events),), None)
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


chapters = st.lists(
    st.tuples(steps, st.sampled_from(["wait", "away", "back", "kill", "stop", "rival", "full", "room"])),
    min_size=1,
    max_size=6,
)


@settings(max_examples=40)
@given(histories, chapters)
def test_no_kill_outage_or_rival_loses_or_doubles_what_was_sealed(etcd, told) -> None:
    """Each change is sealed or still in etcd when something happens; a rival is another machine's writer."""
    source, store, folders = ModelSource(etcd), Outage(), Folders()
    base = etcd.head
    running = Running(source, store, spools=folders.of_a_process())
    running.tells("watch.started")
    for taken, then in told:
        with source.changing():
            played(etcd, taken)
        if then in ("away", "back"):
            store.is_away = then == "away"
        elif then in ("full", "room"):
            folders.fails = then == "full"
        elif then != "wait":
            if then == "kill":
                killed(running)
            else:
                running.capture.stop()
                assert isinstance(running.ended(), StoreUnavailable | None)
            store = Outage(store)
            if then == "rival":
                last_of(rival := Running(source.again(), store), etcd, base, store)
                rival.stop()
                store = Outage(store)
            source = source.again()
            running = Running(source, store, spools=folders.of_a_process())
    store.is_away, folders.fails = False, False
    last_of(running, etcd, base, store)
    running.stop()
    assert [epoch.reason for epoch in open_archive(store).epochs] == ["first"]
    check(store, etcd, base)
    assert waiting(folders) == 0
    stamps = [batch.observed_at for batch in batches(store)]
    assert stamps == sorted(set(stamps))


def last_of(running: Running, etcd: EtcdModel, base: int, store: MemoryStore) -> None:
    """Wait until all that happened is recorded."""
    last = etcd.history[-1][0] if etcd.history and etcd.history[-1][0] > base else None
    if last is not None:
        running.waits(lambda: (1, last) in recorded(store), f"revision {last}")


def test_what_belongs_to_another_history_is_set_aside() -> None:
    source, store, folders = new_source(), Outage(), Folders()
    running = Running(source, store, spools=folders.of_a_process())
    running.tells("watch.started")
    store.is_away = True
    put(source, b"of the first history")
    running.waits(lambda: waiting(folders) == 1, "it is on disk")
    killed(running)

    healed, other = Outage(store), ModelSource(EtcdModel(2, source.etcd.states[2]))
    rival = Running(other, healed)
    rival.tells("watch.started")
    rival.stores(put(other, b"of another"))
    rival.stop()
    running = Running(other.again(), healed, spools=folders.of_a_process())
    running.tells("spool.set_aside")
    running.tells("watch.started")
    running.stop()
    check(healed, other.etcd, 2)
    assert waiting(folders) == 1


def test_what_an_epoch_that_is_over_had_left_is_set_aside() -> None:
    source, store, folders = new_source(), Outage(), Folders()
    running = Running(source, store, spools=folders.of_a_process())
    running.tells("watch.started")
    store.is_away = True
    put(source, b"seen by one machine alone")
    running.waits(lambda: waiting(folders) == 1, "it is on disk")
    killed(running)
    with source.changing() as etcd:
        etcd.put(b"/apisix/b", b"2")
        source.compact(etcd.head)
    healed = Outage(store)
    rival = Running(source.again(), healed)
    rival.tells("epoch.opened")
    rival.stop()
    running = Running(source.again(), healed, spools=folders.of_a_process())
    running.tells("spool.set_aside")
    running.stop()
    assert restore(healed, Latest()).epoch.epoch == 2
    assert waiting(folders) == 1


def test_a_damaged_file_in_the_spool_is_passed_over() -> None:
    source, store, folders = new_source(), Outage(), Folders()
    place = folders.of_a_process().own("x", "dead-writer")
    place.create("e00000001/log/00000000000000000002.jsonl.zst", b"rubbish")
    running = Running(source, store, spools=folders.of_a_process())
    running.tells("spool.damaged")
    running.stores(put(source, b"2"))
    running.stop()
    check(store, source.etcd, 2)


def test_folders_of_the_living_are_left_to_them(tmp_path: Path) -> None:
    one, two = SpoolFolders(tmp_path / "spool"), SpoolFolders(tmp_path / "spool")
    one.own("archive", "one").create("e1", b"of one")
    assert two.left("archive") == []
    one.release()
    (left,) = two.left("archive")
    assert left.get("e1") == b"of one"
    assert SpoolFolders(tmp_path / "spool").left("archive") == []
    left.delete("e1")
    two.release()
    assert list((tmp_path / "spool/archive").iterdir()) == []


def test_folders_of_the_same_archive_alone_are_looked_at(tmp_path: Path) -> None:
    one = SpoolFolders(tmp_path)
    one.own("archive", "one").create("e1", b"of one")
    one.release()
    assert SpoolFolders(tmp_path).left("another") == ()
    assert SpoolFolders(tmp_path / "not there").left("archive") == ()


def test_a_spool_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="not a directory"):
        SpoolFolders(tmp_path / "file").own("archive", "one")


def test_files_are_private(tmp_path: Path) -> None:
    SpoolFolders(tmp_path / "spool").own("archive", "one").create("e1", b"x")
    modes = {oct(path.stat().st_mode & 0o77) for path in (tmp_path / "spool").rglob("*")}
    assert modes == {"0o0"}
