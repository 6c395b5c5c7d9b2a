"""A `replicator run` that can be hurt: killed, suspended, its clock moved, its disk filled."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from servers.command import REPLICATOR, environment, until
from servers.etcd import ROOT, fetched

if TYPE_CHECKING:
    from collections.abc import Collection

_RESTART_S = 0.3
_UNLIMITED = resource.RLIM_INFINITY


class Moment(NamedTuple):
    """What a replica logged, or what was done to it (in capitals), by the clock of the test."""

    at: float
    what: str
    revision: int


class Replica:
    """One of the processes that share an archive. Whatever ends it, `tend` starts it again.

    Its clock is its own: libfaketime reads from a file how far it is off; CLOCK_MONOTONIC stays the system's.
    For a full disk, the size of each file that it writes is limited: what is written fails likewise, only
    with EFBIG in place of ENOSPC. Its log goes through a pipe, which no such limit hurts.

    Attributes:
        name: What its log is called.
        timeline: All that it said and suffered.
        ends: Exit codes of those processes that ended by themselves.
    """

    command = "run"
    at_work: Collection[str] = ("lease.taken", "standby.waiting")  # what it logs once it is

    def __init__(self, name: str, folder: Path, settings: Path) -> None:
        self.name = name
        self.timeline: list[Moment] = []
        self.ends: Counter[int] = Counter()
        self.log = folder / f"{name}.log"
        self._settings = settings
        self._clock = folder / f"{name}.clock"
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._is_wanted = False
        self._ended_at = 0.0
        self.set_clock(0)

    def start(self) -> None:
        """Start it; from now on it is to run."""
        self._is_wanted = True
        shared = ("--log-format", "json", "--log-level", "debug", "-c", str(self._settings))
        self._note("STARTED")
        self._process = subprocess.Popen(
            [*REPLICATOR, *shared, self.command],
            env=environment(self._own_clock()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def tend(self) -> None:
        """Start it again if it has ended by itself, as a supervisor would."""
        if not self._is_wanted or self._process is None or self._process.poll() is None:
            return
        if not self._ended_at:
            self.ends[self._process.returncode] += 1
            self._note("ENDED")
            self._ended_at = time.monotonic()
        elif time.monotonic() - self._ended_at > _RESTART_S:
            self._ended_at = 0.0
            self.start()

    def kill(self) -> None:
        """End it by SIGKILL; it stays away until it is started."""
        self._is_wanted, self._ended_at = False, 0.0
        if self._process is not None and self._process.poll() is None:
            self._note("KILLED")
            self._process.kill()
            self._process.wait()
            if self._reader is not None:
                self._reader.join()

    def suspend(self) -> None:
        """Freeze it."""
        self._note("SUSPENDED")
        self._signal(signal.SIGSTOP)
        if self._process is not None:  # a thread of it may go on for a moment
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)
        self._note("RESUMED")

    def fill_disk(self, left_bytes: int) -> None:
        """Let no file that it writes grow beyond *left_bytes*."""
        self._note("FULL")
        self._limit(left_bytes)

    def free_disk(self) -> None:
        """Let files grow again."""
        self._limit(_UNLIMITED)
        self._note("FREE")

    def set_clock(self, ahead_s: int) -> None:
        """Let its clock jump, so that it is ahead by so much."""
        scratch = self._clock.with_suffix(".new")
        scratch.write_text(f"{ahead_s:+d}\n")
        scratch.rename(self._clock)

    def stop(self) -> int:
        """Ask it to end in order; return the exit code."""
        self._is_wanted = False
        assert self._process is not None
        assert self._reader is not None
        self._process.terminate()
        code = self._process.wait(60)
        self._reader.join()
        return code

    def said(self, events: Collection[str], since: float) -> Moment | None:
        """Return the last of *events* that it logged after *since*."""
        found = [moment for moment in self.timeline if moment.what in events and moment.at >= since]
        return found[-1] if found else None

    def await_work(self) -> None:
        """Wait until it is at work, whatever ends it meanwhile."""

        def is_at_work() -> bool:
            self.tend()
            started = max(moment.at for moment in self.timeline if moment.what == "STARTED")
            return self.said(self.at_work, started) is not None

        until(is_at_work, f"{self.name} is at work; see {self.log}")

    def _own_clock(self) -> dict[str, str]:
        library = next(fetched("faketime").glob("usr/lib/*/faketime/libfaketimeMT.so.1"))
        return {
            "PYTHONPATH": f"{Path(__file__).parent}/clock:{ROOT}",
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)

    def _limit(self, limit_bytes: int) -> None:
        if self._process is not None and self._process.poll() is None:
            resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (limit_bytes, _UNLIMITED))

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout, self.log.open("ab") as log:
            for line in process.stdout:
                log.write(line)
                log.flush()
                if line[:1] + line[-2:] == b"{}\n":
                    event = json.loads(line)
                    revision = event.get("revision", event.get("after", event.get("base", 0)))
                    self._note(event["event"], revision)

    def _note(self, what: str, revision: int = 0) -> None:
        self.timeline.append(Moment(time.monotonic(), what, revision))
