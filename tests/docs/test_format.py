"""docs/format.md is enough to read an archive: its script and its commands do, without any of our code."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from servers.command import running
from servers.etcd import Etcd
from servers.etcd_json import EtcdJson

from replicator.cli import main
from replicator.core.documents import (
    Archive,
    Checkpoint,
    Epoch,
    Follows,
    Gap,
    GapAcknowledged,
    Lease,
    Point,
    Pruned,
)
from replicator.core.gaps import Difference, GapFooter

DOCS = Path(__file__).parents[2] / "docs"
SCRIPT = DOCS / "examples/read_archive.py"

# What a reader stumbles over first: bytes that JSON would not give back, and texts that look like its own.
VALUES = (
    b"",
    b"init_dir",
    b"\xff\xfe\x00",
    b'{"uri": "/a",  "uri":"/b", "n": 1.50e1}',
    b' {"uri":"/blank"} ',
    b'{"script":\n"line"}',
    b'{"big":' + b"9" * 5000 + b"}",
    b'{"text":"\\u00e9 \xc3\xa9 ,\\"value\\":"}',
    b"[" * 300 + b"]" * 300,
    b"null",
)
KEYS = (b"/apisix/routes/1", b'/apisix/odd","value":{}', b"/apisix/\xff\x01", "/apisix/é".encode())


@pytest.fixture(scope="module")
def archive(etcd_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive with several segments and snapshots, written by two processes, the first killed."""
    folder = tmp_path_factory.mktemp("format")
    settings = folder / "replicator.yaml"
    with (
        Etcd(folder / "etcd", etcd_binary, ["--unsafe-no-fsync"]) as etcd,
        EtcdJson(etcd.endpoint) as client,
    ):
        settings.write_text(
            f"etcd: {{endpoints: [{etcd.endpoint}]}}\n"
            f"archive: file://{folder}/archive\n"
            "capture: {flush_interval: 10ms}\n"
            'snapshot: {cron_spec: "@every 1s"}\n'
        )
        client.put(KEYS[0], b"first")
        with running(folder / "first.log", "-c", settings) as recorder:
            recorder.tells("watch.started")
            for number, value in enumerate(VALUES):
                recorder.stores(client.put(KEYS[number % len(KEYS)], value))
            client.delete(b"/apisix/odd", b"/apisix/p")
            recorder.tells("snapshot.stored")
            recorder.stop(signal.SIGKILL)
        for value in VALUES:
            revision = client.put(KEYS[0], value)
        with running(folder / "second.log", "-c", settings) as recorder:
            recorder.stores(revision)
            recorder.stop()
    return folder / "archive"


def read_by_hand(archive: Path, revision: int) -> list[Any]:
    """Return what the page's script reads."""
    command = [sys.executable, SCRIPT, archive, "1", str(revision)]
    answer = subprocess.run(command, capture_output=True, check=True)
    return [json.loads(line) for line in answer.stdout.splitlines()]


def blocks(language: str) -> list[str]:
    """Return the page's fenced blocks in *language*."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", (DOCS / "format.md").read_text(), re.MULTILINE | re.DOTALL
    )


def run_block(block: str, archive: Path) -> list[str]:
    """Run a block of the page with FILE set to the archive's first segment; return what it prints."""
    file = min(archive.glob("e00000001/log/*"))
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", block],
        cwd=archive,
        env={"FILE": str(file), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().splitlines()


def test_the_script_reads_every_revision_as_restore_does(archive: Path, tmp_path: Path) -> None:
    assert [True] * (1 + len(VALUES) + 1 + len(VALUES)) == compare(archive, tmp_path / "kv")


def compare(archive: Path, out: Path, step: int = 1) -> list[bool]:
    """Compare the script with `restore` at each *step*-th revision; return which of them can be restored."""
    last = json.loads((archive / "checkpoint.json").read_bytes())["through_revision"]
    return [is_same(archive, revision, out) for revision in range(2, last + 1, step)]


def is_same(archive: Path, revision: int, out: Path) -> bool:
    """Tell whether *revision* can be restored, if the script agrees."""
    target = ["--archive", f"file://{archive}", "--revision", str(revision)]
    if main(["restore", *target, "--format", "kv", "-o", str(out)]) == 0:
        assert [json.loads(line) for line in out.read_bytes().splitlines()] == read_by_hand(archive, revision)
        return True
    with pytest.raises(subprocess.CalledProcessError, match="exit status 1"):
        read_by_hand(archive, revision)
    return False


def test_the_script_reads_a_merged_and_thinned_archive_as_restore_does(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(archive, tmp_path / "copy")
    here = ["--archive", f"file://{copy}"]
    assert main(["compact", "--grace", "0", *here]) == 0
    assert list(copy.glob("e00000001/merged/*"))
    assert all(compare(copy, tmp_path / "kv", 3))
    assert main(["point", "add", "p", "--revision", "5", *here]) == 0
    monkeypatch.setenv("REPLICATOR_RETENTION_FULL", "0")
    assert main(["prune", "--yes", *here]) == 0
    assert True in compare(copy, tmp_path / "kv", 3)
    assert is_same(copy, 5, tmp_path / "kv")
    assert main(["point", "rm", "p", *here]) == 0
    assert main(["prune", "--yes", *here]) == 0
    assert {False, True} == set(compare(copy, tmp_path / "kv", 3))


def test_the_script_refuses_a_changed_byte(archive: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(archive, tmp_path / "copy")
    newest = max(copy.glob("e00000001/snapshots/*"))
    body = bytearray(newest.read_bytes())
    body[len(body) // 2] ^= 1
    newest.write_bytes(body)

    with pytest.raises(subprocess.CalledProcessError, match="exit status 1"):
        read_by_hand(copy, 1000)


def test_the_commands_for_checking_by_hand_print_the_same_digest_twice(archive: Path) -> None:
    of_object, of_document = (block for block in blocks("sh") if "sha256sum" in block)

    for block in (of_object, of_document):
        computed, stated = (line.split()[0] for line in run_block(block, archive))
        assert computed == stated
        assert len(stated) == 64


@pytest.mark.skipif(
    not (shutil.which("zstdcat") and shutil.which("jq")),
    reason="zstd and jq aren't installed, nor needed else",
)
def test_the_commands_for_looking_inside_work(archive: Path) -> None:
    for block in (block for block in blocks("sh") if "zstdcat" in block):
        assert any("/apisix/routes/1" in line for line in run_block(block, archive))


def test_the_page_names_each_member_of_a_gap_record_and_shows_lines_of_one() -> None:
    page = (DOCS / "format.md").read_text()
    section = page.partition("## The gap record\n")[2].partition("\n## ")[0]
    for kind in (Difference, GapFooter):
        assert all(f"`{name}`" in section for name in kind.__struct_fields__)
    documents = page.partition("## The documents\n")[2].partition("\n## ")[0]
    for kind in (Archive, Epoch, Follows, Gap, GapAcknowledged, Checkpoint, Lease, Pruned, Point):
        assert all(f"`{name}`" in documents for name in kind.__struct_fields__)
    (example,) = re.findall(r"^```json\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    for line in example.splitlines():
        assert msgspec.json.encode(msgspec.json.decode(line, type=Difference)).decode() == line
