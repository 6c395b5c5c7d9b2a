"""What is particular to an archive in a directory: modes, order, leftovers, links, the lock and the disk."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers.clock import SteppedClock

from replicator.adapters.directory import DirectoryStore
from replicator.errors import (
    ObjectChanged,
    ObjectExists,
    ObjectMissing,
    StoreMisconfigured,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS = st.text("a-.@0_", min_size=1, max_size=3).filter(lambda part: not part.startswith("."))
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "some" / "archive"


def modes(root: Path) -> dict[str, int]:
    """Return the permission bits of everything below *root*, and of itself, by path."""
    found = [root, *root.rglob("*")]
    return {str(path.relative_to(root)): stat.S_IMODE(path.lstat().st_mode) for path in found}


def leaves(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_reading_what_is_not_there_makes_nothing(root: Path) -> None:
    store = DirectoryStore(root)
    with pytest.raises(ObjectMissing):
        store.get("archive.json")
    assert list(store.names("")) == []
    store.delete("archive.json")
    assert not root.parent.exists()


def test_nobody_else_reads_an_archive(root: Path) -> None:
    before = os.umask(0)
    try:
        store = DirectoryStore(root)
        store.create("e00000001/log/1", b"")
        store.replace("checkpoint.json", None, b"")
        store.replace("checkpoint.json", b"", b"1")
    finally:
        os.umask(before)
    assert modes(root) == {
        ".": 0o700,
        ".lock": 0o600,
        ".tmp": 0o700,
        "checkpoint.json": 0o600,
        "e00000001": 0o700,
        "e00000001/log": 0o700,
        "e00000001/log/1": 0o600,
    }


def test_a_root_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    DirectoryStore(tmp_path).create("a", b"")
    assert modes(tmp_path)["."] == 0o750


def test_a_relative_root_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = DirectoryStore(Path("archive"))
    monkeypatch.chdir("/")
    store.create("a", b"1")
    assert (tmp_path / "archive" / "a").read_bytes() == b"1"


@given(st.sets(NAMES), NAMES, NAMES)
def test_a_walk_gives_the_order_of_whole_names(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], prefix: str, after: str
) -> None:
    root = tmp_path_factory.mktemp("archive")
    held = set()
    for name in sorted(names):
        if not any(other.startswith(f"{name}/") or name.startswith(f"{other}/") for other in held):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
            held.add(name)
    for wanted in ("", prefix, prefix[:1]):
        expected = sorted(name for name in held if name.startswith(wanted) and name > after)
        assert expected == list(DirectoryStore(root).names(wanted, after))


def test_a_directory_is_listed_when_its_turn_comes(root: Path) -> None:
    store = DirectoryStore(root)
    for name in ("a/1", "b/1", "c/1"):
        store.create(name, b"")
    names = store.names("")
    assert next(names) == "a/1"
    store.create("b/0", b"")
    store.delete("c/1")
    assert list(names) == ["b/0", "b/1"]


def test_no_write_leaves_a_temporary_file(root: Path) -> None:
    store = DirectoryStore(root)
    store.create("a", b"1")
    store.create("a", b"1")
    with pytest.raises(ObjectExists):
        store.create("a", b"2")
    store.replace("a", b"1", b"2")
    with pytest.raises(ObjectChanged):
        store.replace("a", b"1", b"3")
    with pytest.raises(ObjectChanged):
        store.replace("a", None, b"3")
    assert leaves(root / ".tmp") == []


def test_the_first_write_removes_only_old_leftovers(root: Path) -> None:
    (root / ".tmp").mkdir(parents=True)
    for leaf, age_seconds in (("old", 90_000), ("young", 80_000)):
        (root / ".tmp" / leaf).touch()
        os.utime(root / ".tmp" / leaf, (time.time() - age_seconds,) * 2)
    store = DirectoryStore(root)
    assert list(store.names("")) == []
    assert leaves(root / ".tmp") == ["old", "young"]
    store.create("a", b"")
    assert leaves(root / ".tmp") == ["young"]


def test_nothing_is_visible_before_it_is_durable(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut would show, told by the order of the calls."""
    store = DirectoryStore(root)
    store.create("log/1", b"")
    calls = []

    def noted(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def note(*arguments: object, **options: object) -> object:
            opened = f"/proc/self/fd/{arguments[0]}"
            path = Path(opened).readlink() if name == "fsync" else Path(str(arguments[-1]))
            calls.append((name, ".tmp/*" if path.parent.name == ".tmp" else path.name))
            return call(*arguments, **options)

        return note

    for name in ("fsync", "link", "rename", "mkdir"):
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    store.create("log/2", b"")
    store.replace("log/2", b"", b"1")
    assert calls == [
        *(("fsync", ".tmp/*"), ("link", "2"), ("fsync", "log")),
        *(("fsync", ".tmp/*"), ("rename", "2"), ("fsync", "log")),
    ]
    calls.clear()
    DirectoryStore(root).create("log/3", b"")  # it can't know whether who made `log` lived to sync it
    assert ("fsync", "archive") in calls[: calls.index(("link", "3"))]


WRITER = """
import itertools, pathlib, sys
from replicator.adapters.directory import DirectoryStore
store = DirectoryStore(pathlib.Path(sys.argv[1]))
for number in itertools.count():
    store.create(f"log/{number:020d}", bytes([number % 256]) * 1_000_000)
"""


def test_a_killed_writer_leaves_whole_objects(root: Path) -> None:
    """Killed at no moment in particular, while it writes megabytes."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(root)])
    deadline = time.monotonic() + 30
    store = DirectoryStore(root)
    while len(list(store.names("log/"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.003)
    writer.send_signal(signal.SIGKILL)
    assert writer.wait() == -signal.SIGKILL
    names = list(store.names("log/"))
    assert len(names) >= 5
    for number, name in enumerate(names):
        assert name == f"log/{number:020d}"
        assert store.get(name) == bytes([number % 256]) * 1_000_000
    store.create("log/next", b"")


@pytest.mark.parametrize("planted", ["log", "log/leaf"])
def test_no_link_leads_out(root: Path, tmp_path: Path, planted: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "leaf").write_bytes(b"a secret")
    (root / planted).parent.mkdir(parents=True)
    (root / planted).symlink_to(outside if planted == "log" else outside / "leaf")
    store = DirectoryStore(root)
    for call in (
        lambda: store.get("log/leaf"),
        lambda: store.create("log/leaf", b"1"),
        lambda: store.replace("log/leaf", b"a secret", b"1"),
        lambda: list(store.names("")),
    ):
        with pytest.raises(StoreMisconfigured) as caught:
            call()
        assert str(root) in caught.value.hint
    assert leaves(outside) == ["leaf"]
    assert (outside / "leaf").read_bytes() == b"a secret"


def test_deleting_a_link_leaves_what_it_leads_to(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "leaf").touch()
    root.mkdir(parents=True)
    (root / "log").symlink_to(tmp_path / "outside")
    with pytest.raises(StoreMisconfigured):
        DirectoryStore(root).delete("log/leaf")
    assert (tmp_path / "outside" / "leaf").exists()


def test_temporaries_go_through_no_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    root.mkdir(parents=True)
    (root / ".tmp").symlink_to(tmp_path / "outside")
    with pytest.raises(StoreMisconfigured):
        DirectoryStore(root).create("a", b"1")
    assert leaves(root) == [".tmp"]


@pytest.mark.parametrize("below", ["", "below"])
def test_a_file_where_the_root_should_be(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    root = tmp_path / "file" / below
    store = DirectoryStore(root)
    for call in (
        lambda: store.get("a"),
        lambda: store.create("a", b""),
        lambda: list(store.names("")),
    ):
        with pytest.raises(StoreMisconfigured) as caught:
            call()
        assert str(root) in str(caught.value)
        assert str(root) in caught.value.hint


@pytest.mark.parametrize(
    ("call", "number", "expected"),
    [
        ("fsync", errno.ENOSPC, StoreUnavailable),
        ("fsync", errno.EDQUOT, StoreUnavailable),
        ("fsync", errno.EIO, StoreUnavailable),
        ("open", errno.EMFILE, StoreUnavailable),
        ("open", errno.EACCES, StoreMisconfigured),
        ("mkdir", errno.EROFS, StoreMisconfigured),
        ("link", errno.EPERM, StoreMisconfigured),
        ("link", errno.EXDEV, StoreMisconfigured),
        ("link", errno.EOPNOTSUPP, StoreMisconfigured),
    ],
)
def test_what_the_system_refuses_has_a_name_and_a_hint(
    root: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, expected: type
) -> None:
    """Faults of a disk that a test can't have; afterwards nothing is visible, and the next try succeeds."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    root.mkdir(parents=True)
    store = DirectoryStore(root)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(StoreUnavailable) as caught:
            store.create("log/1", b"1")
    assert type(caught.value) is expected
    assert str(root / "log/1") in str(caught.value)
    assert str(root) in caught.value.hint
    assert list(store.names("")) == []
    store.create("log/1", b"1")
    assert leaves(root / ".tmp") == []


def test_a_suspended_holder_of_the_lock_is_waited_for_only_so_long(root: Path) -> None:
    clock = SteppedClock()
    store = DirectoryStore(root, clock)
    store.replace("checkpoint.json", None, b"1")
    with (root / ".lock").open() as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(StoreUnavailable) as caught:
            store.replace("checkpoint.json", b"1", b"2")
        assert not isinstance(caught.value, StoreMisconfigured)
        assert "suspended" in caught.value.hint
        store.create("log/1", b"")  # what safety rests on needs no lock
    assert 9 < clock.monotonic() < 11
    store.replace("checkpoint.json", b"1", b"2")
    assert store.get("checkpoint.json") == b"2"
