"""docs/format.md is enough to decrypt an archive: its script does, without any of our code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from archives import Scribe
from etcd_model import EtcdModel
from generators import START, stamped
from servers.keys import OLD_SECRET, SECRET, key_file, keys

from replicator.adapters.directory import DirectoryStore
from replicator.adapters.sealed import SealedStore

EXAMPLES = Path(__file__).parents[2] / "docs/examples"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return an encrypted archive; its state at revision 3 is two keys."""
    inner = DirectoryStore(tmp_path / "archive")
    scribe = Scribe(SealedStore(inner, keys()))  # type: ignore[arg-type]
    etcd = EtcdModel(1)
    scribe.open(etcd, START)
    etcd.put(b"/apisix/a", b'{"id":1}')
    etcd.put(b"/apisix/b", b"text")
    scribe.append(stamped(etcd.history))
    return tmp_path / "archive"


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXAMPLES / script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_script_opens_what_the_other_script_reads(archive: Path, tmp_path: Path) -> None:
    opened = run(
        "open_sealed.py", key_file(tmp_path / "keys", OLD_SECRET, SECRET), archive, tmp_path / "plain"
    )
    assert (opened.returncode, opened.stderr) == (0, "")
    read = run("read_archive.py", tmp_path / "plain", 1, 3)
    assert [line.split('"')[3] for line in read.stdout.splitlines()] == ["/apisix/a", "/apisix/b"]


def test_the_script_says_which_key_is_missing(archive: Path, tmp_path: Path) -> None:
    wrong = run("open_sealed.py", key_file(tmp_path / "keys", OLD_SECRET), archive, tmp_path / "plain")
    assert "archive.json wants the key" in wrong.stderr


def test_the_script_refuses_a_moved_object(archive: Path, tmp_path: Path) -> None:
    (archive / "checkpoint.json").write_bytes((archive / "archive.json").read_bytes())
    moved = run("open_sealed.py", key_file(tmp_path / "keys"), archive, tmp_path / "plain")
    assert "InvalidTag" in moved.stderr
