"""Real files recorded by the real capture: each version whole, in one history, whoever writes it."""

from __future__ import annotations

import os
import random
import shutil
from typing import TYPE_CHECKING

import pytest
from archives import written
from captures import batches
from files import QUICK, Recording, epochs, named, recording
from servers.command import until

from replicator.adapters.directory import DirectoryStore
from replicator.adapters.file_sight import Patience
from replicator.adapters.spool_folder import SpoolFolders
from replicator.core.plan import AtRevision, Latest
from replicator.errors import SourceUnavailable, UsageError
from replicator.flows.instance import config_file, files_at, latest_files
from replicator.flows.restore import restore
from replicator.flows.verify_full import verify_full

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "archive")


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    folder = tmp_path / "conf"
    folder.mkdir()
    return folder


def renamed_over(path: Path, body: bytes) -> None:
    """Write as careful editors do."""
    other = path.with_name(f".{path.name}.new")
    other.write_bytes(body)
    other.rename(path)


def test_each_change_is_recorded_and_restored_byte_for_byte(store: DirectoryStore, conf: Path) -> None:
    path = conf / "config.yaml"
    versions = [b"apisix: {}\n", b"\xff\x00 no text\r\n", b'{"json": 1}', b"last"]
    path.write_bytes(versions[0])
    with recording(store, path) as running:
        for body in versions[1:]:
            running.tells("watch.started")
            renamed_over(path, body)
            running.holds((path, body))
    first = restore(store, Latest()).epoch.base
    assert [files_at(store, AtRevision(first + step))[str(path)] for step in range(4)] == versions
    assert config_file(latest_files(store)) == b"last"
    assert not verify_full(store).damages


def test_a_restart_goes_on_in_the_same_epoch_and_tells_what_changed_meanwhile_late(
    store: DirectoryStore, conf: Path
) -> None:
    path = conf / "config.yaml"
    path.write_bytes(b"one")
    with recording(store, path) as running:
        running.holds((path, b"one"))
    for _ in range(2):  # nothing changed: nothing is written
        with recording(store, path) as running:
            running.tells("watch.started")
    assert batches(store) == []
    path.write_bytes(b"two")
    with recording(store, path) as running:
        running.holds((path, b"two"))
        path.write_bytes(b"three")
        running.holds((path, b"three"))
    assert epochs(store) == ["first"]
    assert [batch.window is not None for batch in batches(store)] == [True, False]


def test_files_that_change_together_are_one_revision(store: DirectoryStore, conf: Path) -> None:
    one, two = conf / "one", conf / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"1")
    with recording(store, one, two, patience=Patience(0.3, 0.3, 5.0, 0.05)) as running:
        running.tells("watch.started")
        one.write_bytes(b"2")
        two.write_bytes(b"2")
        running.holds((one, b"2"), (two, b"2"))
    assert [[named(event.key) for event in batch.events] for batch in batches(store)] == [["one", "two"]]


def test_a_deleted_file_is_a_delete_and_one_off_the_list_as_well(store: DirectoryStore, conf: Path) -> None:
    kept, gone, dropped = conf / "kept", conf / "gone", conf / "dropped"
    for path in (kept, gone, dropped):
        path.write_bytes(b"x")
    with recording(store, kept, gone, dropped) as running:
        running.tells("watch.started")
        gone.unlink()
        running.holds((kept, b"x"), (dropped, b"x"))
        running.tells("file.missing")
    with recording(store, kept, gone) as running:
        running.holds((kept, b"x"))
        gone.write_bytes(b"back")
        running.holds((kept, b"x"), (gone, b"back"))
    assert epochs(store) == ["first"]


def test_an_editor_that_takes_the_file_away_for_a_moment_deletes_nothing(
    store: DirectoryStore, conf: Path
) -> None:
    path = conf / "config.yaml"
    path.write_bytes(b"0")
    with recording(store, path, patience=Patience(0.03, 2.0, 5.0, 0.02)) as running:
        running.tells("watch.started")
        for number in range(1, 4):
            path.rename(conf / "config.yaml~")
            path.write_bytes(b"")
            path.write_bytes(b"%d" % number)
            running.holds((path, b"%d" % number))
    assert all(event.record is not None for batch in batches(store) for event in batch.events)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_told_and_no_delete(store: DirectoryStore, conf: Path) -> None:
    path, other = conf / "config.yaml", conf / "other"
    path.write_bytes(b"one")
    other.write_bytes(b"x")
    with recording(store, path, other) as running:
        running.tells("watch.started")
        path.chmod(0)
        running.tells("file.unreadable")
        path.chmod(0o600)
        path.write_bytes(b"two")
        running.holds((path, b"two"), (other, b"x"))
    assert all(event.record is not None for batch in batches(store) for event in batch.events)


def test_what_is_no_file_is_told_and_no_delete(store: DirectoryStore, conf: Path) -> None:
    path, other = conf / "config.yaml", conf / "other"
    path.write_bytes(b"one")
    other.write_bytes(b"x")
    with recording(store, path, other) as running:
        running.tells("watch.started")
        path.unlink()
        os.mkfifo(path)
        running.tells("file.unreadable")
        path.unlink()
        path.write_bytes(b"two")
        running.holds((path, b"two"), (other, b"x"))
    assert all(event.record is not None for batch in batches(store) for event in batch.events)


def test_a_configmap_is_swapped_whole(store: DirectoryStore, conf: Path) -> None:
    """Kubernetes writes a new folder, and renames a link over ``..data``."""

    def swap(number: int) -> None:
        folder = conf / f"..version{number}"
        folder.mkdir()
        for name in ("config.yaml", "debug.yaml"):
            (folder / name).write_bytes(b"%d" % number)
        (conf / "..data_tmp").symlink_to(folder.name)
        (conf / "..data_tmp").rename(conf / "..data")
        shutil.rmtree(conf / f"..version{number - 1}", ignore_errors=True)

    swap(1)
    paths = conf / "config.yaml", conf / "debug.yaml"
    for path in paths:
        path.symlink_to(f"..data/{path.name}")
    with recording(store, *paths) as running:
        running.tells("watch.started")
        for number in range(2, 6):
            swap(number)
            running.holds(*((path, b"%d" % number) for path in paths))
    for batch in batches(store):
        assert len({event.record and event.record.value for event in batch.events}) == 1
        assert len(batch.events) == 2


def test_no_torn_file_is_ever_recorded(store: DirectoryStore, conf: Path) -> None:
    """Written in place, piece by piece, with pauses shorter than a file must be quiet."""
    path, seed = conf / "config.yaml", random.randrange(1 << 32)
    chance = random.Random(seed)
    whole = {b"%d:" % number + bytes([65 + number]) * 9_000 for number in range(4)}
    path.write_bytes(min(whole))
    with recording(store, path, patience=Patience(0.4, 2.0, 30.0, 0.02)) as running:
        running.tells("watch.started")
        for body in sorted(whole)[1:]:
            with path.open("wb", buffering=0) as file:
                at = 0
                while at < len(body):
                    step = chance.randrange(500, 3_000)
                    at += file.write(body[at : at + step])
                    running.thread.join(chance.random() * 0.05)
            running.holds((path, body))
    seen = {event.record.value for batch in batches(store) for event in batch.events if event.record}
    assert seen <= whole, f"seed {seed}"


def test_a_file_that_never_rests_is_recorded_all_the_same(store: DirectoryStore, conf: Path) -> None:
    path, other = conf / "restless", conf / "config.yaml"
    path.write_bytes(b"0")
    other.write_bytes(b"1")
    with recording(store, path, other, patience=Patience(0.5, 0.5, 1.0, 0.05)) as running:
        running.tells("watch.started")
        other.write_bytes(b"2")

        def written() -> bool:
            path.write_bytes(b"%r" % random.random())
            return bool(batches(store))

        until(written, "a revision")
    assert running.events("file.restless")
    assert latest_files(store)[str(other)] == b"2"


def test_without_any_file_nothing_begins(store: DirectoryStore, conf: Path) -> None:
    failure = Recording(store, [conf / "config.yaml"], QUICK).ended()
    assert isinstance(failure, SourceUnavailable)
    assert "config.yaml (no such file)" in str(failure)
    assert latest_files(store) == {}


def test_an_archive_of_etcd_is_refused(conf: Path) -> None:
    (conf / "config.yaml").write_bytes(b"x")
    etcd = written().store
    assert isinstance(Recording(etcd, [conf / "config.yaml"], QUICK).ended(), UsageError)
    with pytest.raises(UsageError, match="no archive of files"):
        latest_files(etcd)


def test_a_standby_on_another_machine_goes_on_with_its_own_files(
    store: DirectoryStore, tmp_path: Path
) -> None:
    """Two machines are two folders here, behind one path: a link that the test turns."""
    for machine in ("one", "two"):
        (tmp_path / machine).mkdir()
        (tmp_path / machine / "config.yaml").write_bytes(machine.encode())
    conf = tmp_path / "conf"
    conf.symlink_to("one")
    path = conf / "config.yaml"
    with recording(store, path) as first:
        first.holds((path, b"one"))
        with recording(store, path) as second:
            second.tells("standby.waiting")
            conf.unlink()
            conf.symlink_to("two")
            first.holds((path, b"two"))
            first.stop()
            second.tells("watch.started")
            renamed_over(tmp_path / "two" / "config.yaml", b"three")
            second.holds((path, b"three"))
    assert epochs(store) == ["first"]
    assert not verify_full(store).damages


def test_what_another_machines_spool_holds_of_the_same_revisions_is_set_aside(
    store: DirectoryStore, conf: Path, tmp_path: Path
) -> None:
    """Revisions of files are the archive's own: two writers may mean different things by one number."""
    path = conf / "config.yaml"
    path.write_bytes(b"one")
    with recording(store, path) as running:
        running.holds((path, b"one"))
    shutil.copytree(tmp_path / "archive", tmp_path / "other")
    other = DirectoryStore(tmp_path / "other")
    path.write_bytes(b"from a machine that was cut off")
    with recording(other, path) as running:
        running.holds((path, b"from a machine that was cut off"))
    archive_id = restore(store, Latest()).archive.archive_id
    name = next(iter(other.names("e00000001/log/")))
    left = DirectoryStore(tmp_path / "spool" / archive_id / "gone")
    path.write_bytes(b"two")
    with recording(store, path) as running:
        running.holds((path, b"two"))
    left.create(name, other.get(name))
    (tmp_path / "spool" / archive_id / "gone.owner").touch()
    with recording(store, path, spools=SpoolFolders(tmp_path / "spool", lambda inner: inner)) as running:
        running.tells("spool.set_aside")
        path.write_bytes(b"three")
        running.holds((path, b"three"))
    assert not verify_full(store).damages
    assert epochs(store) == ["first"]
