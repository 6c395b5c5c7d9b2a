"""The product as a user meets it: its command line, each call a process of its own or within this one.

No call sees anything of the settings and credentials of whoever runs the tests.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from unittest.mock import patch

from servers.etcd import ROOT

from replicator.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

REPLICATOR = (sys.executable, "-m", "replicator")
PATIENCE_S = 30


@dataclass(frozen=True)
class Outcome:
    """A call that has ended: its exit code, its bytes on stdout, its text on stderr."""

    code: int
    out: bytes
    err: str


@dataclass(frozen=True)
class Complaint:
    """How a call must end: its exit code, and parts of the lines that say what is wrong and what to do.

    `SECRET` stands for every password and key that a test gives to the call, which must never show it.
    """

    code: int
    what: str
    hint: str

    SECRET: ClassVar[str] = "this-is-secret-0"

    def is_made_by(self, outcome: Outcome) -> None:
        """Fail unless *outcome* ends with this complaint, and says nothing else that it should not."""
        *before, what, hint = outcome.err.splitlines()
        assert what.startswith("replicator: "), outcome.err
        assert self.what in what
        assert hint.startswith("  try: ")
        assert self.hint in hint
        assert outcome.code == self.code
        assert outcome.out == b""
        assert not any(line.startswith(("Traceback", "  File")) for line in before)
        assert self.SECRET not in outcome.err


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a call: the tests' own without settings of anybody's, and *extra*."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("REPLICATOR", "AWS"))}
    nobody = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": str(ROOT),
    }
    return clean | nobody | dict(extra or {})


def replicator(*arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Outcome:
    """Call the command line and wait for its end."""
    done = subprocess.run(
        [*REPLICATOR, *map(str, arguments)],
        env=environment(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr.decode())


def called(*arguments: object, env: Mapping[str, str] | None = None) -> Outcome:
    """Call the command line within this process: what a new one would say, in a tenth of its time."""
    raw, err = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(raw, write_through=True)
    with patch.dict(os.environ, environment(env), clear=True), redirect_stdout(out), redirect_stderr(err):
        code = main([*map(str, arguments)])
    return Outcome(code, raw.getvalue(), err.getvalue())


def answered(*arguments: object, env: Mapping[str, str] | None = None) -> Any:
    """Return what a call within this process answers to ``--json``; it must succeed."""
    outcome = called(*arguments, "--json", env=env)
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def until(true: Callable[[], bool], what: str) -> None:
    """Wait until *true* is; fail with *what* if it takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.01)


class Recorder:
    """A `replicator run` under way, whose words go to the file *log*."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def said(self) -> str:
        """Return all that it has said."""
        return self._log.read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of that *name* that it has logged."""
        lines = (line for line in self.said().splitlines(keepends=True) if line[0] + line[-1] == "{\n")
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def says(self, text: str) -> None:
        """Wait until *text* is in what it has said, whatever the form of its log."""
        self._until(lambda: text in self.said(), text)

    def tells(self, name: str, times: int = 1) -> None:
        """Wait until it has logged the event *name* so many *times*."""
        self._until(lambda: len(self.events(name)) >= times, f"{name}, {times} times")

    def stores(self, revision: int, archive: str = "") -> None:
        """Wait until *revision* is durable, in the archive at that URL if one is named."""
        self._until(
            lambda: any(
                event["revision"] >= revision and archive in ("", event["archive"])
                for event in self.events("segment.stored")
            ),
            f"revision {revision} stored in {archive or 'its archive'}",
        )

    @property
    def has_ended(self) -> bool:
        """Whether its process has."""
        return self._process.poll() is not None

    def ended(self) -> int:
        """Wait for its end; return the exit code."""
        return self._process.wait(PATIENCE_S)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and wait for the end; return the exit code."""
        self._process.send_signal(number)
        return self.ended()

    def _until(self, true: Callable[[], bool], what: str) -> None:
        until(lambda: true() or self.has_ended, f"{what}; it said:\n{self.said()}")
        assert true(), f"it has ended before: {what}; it said:\n{self.said()}"


@contextmanager
def running(
    log: Path, *arguments: object, env: Mapping[str, str] | None = None, command: str = "run"
) -> Iterator[Recorder]:
    """Run `replicator run` with *arguments* before the *command*; whatever is left of it is killed.

    It logs JSON lines, debug too, to the end of the file *log*.
    """
    shared = ("--log-format", "json", "--log-level", "debug")
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [*REPLICATOR, *shared, *map(str, arguments), command],
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
        )
    try:
        yield Recorder(process, log)
    finally:
        process.kill()
        process.wait()
