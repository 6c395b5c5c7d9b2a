"""The bar for long work: how much, how quickly, how long; on a terminal. A pipe sees nothing of it."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import pytest
from servers.clock import SteppedClock
from servers.command import environment

from replicator.cli.progress import progress

if TYPE_CHECKING:
    from conftest import Story

# `replicator` with a disk that takes its time.
SLOWLY = """
import sys, time
from replicator.adapters.directory import DirectoryStore
from replicator.cli import main

get = DirectoryStore.get

def slowly(self, name):
    time.sleep(0.12)
    return get(self, name)

DirectoryStore.get = slowly
sys.exit(main())
"""


def on_a_terminal(*arguments: str) -> tuple[str, bytes]:
    """Return what the command shows on a terminal as its stderr, and its stdout."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 110, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-c", SLOWLY, *arguments],
        env=environment({"TERM": "xterm"}),
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:
                break
        out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0, shown
    return shown.decode(), out


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_terminal_sees_how_much_how_quickly_and_how_long(recorded_story: Story, as_json: list[str]) -> None:
    shown, out = on_a_terminal("verify", "--full", *as_json, "--archive", recorded_story.url)

    assert re.search(r"reading .*\d+/\d+ objects \S*\d/s\S* elapsed 0:00:0\d left \d:\d\d:\d\d", plain(shown))
    assert shown.endswith(("\x1b[?25h\r\x1b[1A\x1b[2K", "\x1b[?25h")), (
        "the cursor is back, and the bar is gone"
    )
    assert out.startswith(b"{" if as_json else b"full     1 epoch, ")


def test_a_restore_says_how_far_it_is(recorded_story: Story) -> None:
    shown, out = on_a_terminal("restore", "--latest", "--archive", recorded_story.url)

    assert re.search(r"replaying .*\d+/\d+ objects", plain(shown))
    assert out.endswith(b"#END\n")


def test_what_is_over_at_once_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    clock = SteppedClock()
    with progress("reading", "objects", clock) as bar:
        bar.expect(3)
        for _ in range(3):
            clock.sleep(0.1)
            bar.step()

    assert terminal.getvalue() == ""


def test_more_may_come_than_was_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "110")
    clock = SteppedClock()
    with progress("reading", "objects", clock) as bar:
        bar.expect(2)
        for _ in range(3):
            clock.sleep(1)
            bar.step()
        bar.expect(4)
        bar.step()

    assert "4/7 objects" in plain(terminal.getvalue())


class Terminal(io.StringIO):
    """A file that says it is one."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def plain(shown: str) -> str:
    """Return *shown* without what commands a terminal."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


def test_a_pipe_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    clock = SteppedClock()
    with progress("reading", "objects", clock) as bar:
        clock.sleep(10)
        bar.expect(1)
        bar.step()

    assert pipe.getvalue() == ""
