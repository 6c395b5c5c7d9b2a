"""An archive that takes more memory than there is: an error and its code, whoever made it so large."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import chain
from typing import TYPE_CHECKING

from bombs import SNAPSHOT_HEAD, packed
from generators import START
from servers.command import environment

from replicator.core import documents
from replicator.core.documents import Archive, Epoch
from replicator.core.names import SnapshotName

if TYPE_CHECKING:
    from pathlib import Path

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (768 << 20, 768 << 20))
from replicator.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_state_beyond_the_processs_memory_is_told(tmp_path: Path) -> None:
    archive = Archive(format=1, archive_id="a", prefix="/a", created_at=START)
    name = SnapshotName(1, 1, START, is_base=True)
    epoch = Epoch(
        epoch=1,
        reason="first",
        cluster_id="c",
        base=1,
        observed_at=START,
        snapshot=str(name),
        writer="w",
    )
    numbers = {"create_revision": 1, "mod_revision": 1, "version": 1, "lease": 0}
    value = "0" * (4 << 20)
    lines = (
        json.dumps({"key": f"/a/{number}", **numbers, "value_text": value}).encode() + b"\n"
        for number in range(200)
    )
    body = packed(chain([SNAPSHOT_HEAD], lines, [b"{}\n"]))
    assert len(body) < 200_000
    for path, content in (
        ("archive.json", documents.encode(archive)),
        ("e00000001/epoch.json", documents.encode(epoch)),
        (str(name), body),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "restore", "--latest", "--archive", f"file://{tmp_path}"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[0] == "replicator: this takes more memory than the process may have"
    assert done.stdout == ""
