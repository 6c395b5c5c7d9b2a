"""What earlier processes have left in the spool: taken up, done with, or set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from captures import ModelSource, Running, batches, check, new_source, put, recorded
from etcd_model import EtcdModel
from generators import histories, played, steps
from hypothesis import given, settings
from hypothesis import strategies as st
from spools import Folders, Outage, killed, waiting

from replicator.adapters.spool_folder import SpoolFolders
from replicator.core.plan import Latest
from replicator.errors import StoreUnavailable
from replicator.flows.open_archive import open_archive
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from pathlib import Path

    from memory_store import MemoryStore

pytestmark = pytest.mark.usefixtures("quick")


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
    running.tells("watch.started")  # else it may be stopped before its turn, and look into no spool
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


def test_folders_of_the_living_are_read_and_left_as_they_are(tmp_path: Path) -> None:
    one, two = SpoolFolders(tmp_path / "spool"), SpoolFolders(tmp_path / "spool")
    own = one.own("archive", "one")
    own.create("e1", b"of one")
    (living,) = two.left("archive")
    living.delete("e1")
    assert living.get("e1") == own.get("e1") == b"of one"
    one.release()
    (left,) = two.left("archive")
    assert left.get("e1") == b"of one"
    (of_another,) = SpoolFolders(tmp_path / "spool").left("archive")
    of_another.delete("e1")
    assert left.get("e1") == b"of one"
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
