"""A command that is told to end does so in order: its code says so, and nothing is half-written."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from servers.command import REPLICATOR, called, environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_restore_in_order(number: signal.Signals, story, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"  # nobody reads it, so that the command waits for ever
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [*REPLICATOR, "restore", "--archive", story.url, "--latest", "-o", pipe],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("revision ")  # it is about to write
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "replicator: interrupted"
    assert "Traceback" not in err


def test_no_core_is_dumped() -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    called("--version")
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, before[1])
