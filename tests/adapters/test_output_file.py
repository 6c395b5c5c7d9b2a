"""A file that holds secrets: whole or not there, and nothing of it left behind, however its writer dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from servers.clock import SteppedClock
from servers.command import environment

from replicator.adapters import output_file
from replicator.adapters.output_file import write_file
from replicator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KILLED = """
import os, sys
from pathlib import Path
from replicator.adapters.clock import SystemClock
from replicator.adapters.output_file import write_file

def chunks():
    yield b"secret" * 100_000
    os.kill(os.getpid(), 9)

write_file(Path(sys.argv[1]), chunks(), SystemClock())
"""


@pytest.fixture(params=["unnamed", "named"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, on a file system with unnamed files and on one without."""
    if request.param == "named":
        monkeypatch.setattr(output_file, "_unnamed", lambda _: None)
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_replaced_whole_private_and_later(folder: Path) -> None:
    path = folder / "apisix.yaml"
    for content in (b"one", b"two"):
        write_file(path, [content[:1], content[1:]], SteppedClock())
        assert path.read_bytes() == content
        assert path.stat().st_mode & 0o777 == 0o600
    assert names(folder) == ["apisix.yaml"]
    before = int(path.stat().st_mtime)
    write_file(path, [b"three"], SteppedClock())
    assert int(path.stat().st_mtime) == before + 1


def test_a_failure_amid_leaves_what_was_there(folder: Path) -> None:
    path = folder / "apisix.yaml"
    write_file(path, [b"one"], SteppedClock())

    def chunks() -> Iterator[bytes]:
        yield b"secret"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(path, chunks(), SteppedClock())
    assert path.read_bytes() == b"one"
    assert names(folder) == ["apisix.yaml"]


def test_what_is_written_has_no_name_until_it_is_whole(tmp_path: Path) -> None:
    seen = []

    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * (1 << 20)
            seen.append(names(tmp_path))

    write_file(tmp_path / "apisix.yaml", chunks(), SteppedClock())
    assert (seen, names(tmp_path)) == ([[], [], []], ["apisix.yaml"])


def test_a_writer_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "apisix.yaml"], env=environment(), check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert names(tmp_path) == []


def test_a_file_that_cant_take_its_place_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(output_file.os, "rename", refuse)
    with pytest.raises(UsageError, match="Operation not permitted"):
        write_file(folder / "apisix.yaml", [b"secret"], SteppedClock())
    assert names(folder) == []


def test_what_a_gateway_may_read_it_may_go_on_to_read(folder: Path) -> None:
    path = folder / "apisix.yaml"
    path.touch()
    path.chmod(0o640)
    write_file(path, [b"one"], SteppedClock(), keeps_access=True)
    assert path.stat().st_mode & 0o7777 == 0o640
    write_file(folder / "new", [b"one"], SteppedClock(), keeps_access=True)
    assert (folder / "new").stat().st_mode & 0o777 == 0o600
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
        write_file(path, [b"two"], SteppedClock(), keeps_access=True)
        assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)
    assert path.read_bytes() in {b"one", b"two"}
