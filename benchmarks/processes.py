"""Whole processes under measurement: what one spends, and `replicator run` while it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from bisect import bisect_left
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.ground import Place

REPLICATOR = (sys.executable, "-m", "replicator")

_POLL_S = 0.004
_PATIENCE_S = 180
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process took from its start to its end; *peak_bytes* is its largest resident memory."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def spend(command: Sequence[str], settings: Mapping[str, str] | None = None) -> Spent:
    """Run *command* to its end, with *settings* as a replicator's environment names them.

    Its peak is polled: what `wait4` gives would begin with the memory of this process, which it was forked
    from.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=environment(settings or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak = 0
    while True:
        peak = max(peak, peak_bytes(process.pid))
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        time.sleep(_POLL_S)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Spent(wall_s, usage.ru_utime + usage.ru_stime, peak)


def peak_bytes(pid: int) -> int:
    """Return the largest resident memory that the process *pid* has had; 0 once it has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


def cpu_s(pid: int) -> float:
    """Return the processor time that the process *pid* has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


class Recorder:
    """A `replicator run` under way.

    Args:
        process: It.
        log: The file that its log goes to.
        started_at: When it was started (seconds since 1970).
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path, started_at: float) -> None:
        self._process = process
        self._log = log
        self.started_at = started_at
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._read_bytes = 0

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events *name* that it has logged."""
        with self._log.open("rb") as log:
            log.seek(self._read_bytes)
            news = log.read()
        whole = news[: news.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.splitlines():
            event = json.loads(line)
            self._events.setdefault(event["event"], []).append(event)
        return self._events.get(name, [])

    def at(self, name: str) -> float:
        """Return when it logged the last event *name* (seconds since 1970)."""
        return _moment(self.events(name)[-1])

    def durable(self) -> list[tuple[float, int]]:
        """Return for each segment when it was durable (seconds since 1970), and its last revision."""
        return [(_moment(event), event["revision"]) for event in self.events("segment.stored")]

    def wait_for(self, revision: int) -> None:
        """Return when *revision* is durable."""
        self.until(lambda: any(last >= revision for _, last in reversed(self.durable())))

    def durable_at(self, revision: int) -> float:
        """Return when *revision* was durable (seconds since 1970), which it is."""
        durable = self.durable()
        return durable[bisect_left(durable, revision, key=lambda segment: segment[1])][0]

    def until(self, true: Callable[[], Any]) -> None:
        """Return when *true* is; raise if that takes too long or the process ends before."""
        deadline = time.monotonic() + _PATIENCE_S
        while not true():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"replicator doesn't get there; it said:\n{self._log.read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it in an orderly way."""
        self._process.terminate()
        if self._process.wait(_PATIENCE_S):
            raise RuntimeError(f"replicator failed; it said:\n{self._log.read_text()}")


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a replicator with *settings*, REPLICATOR_ aside, and nobody else's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("REPLICATOR")}
    clean["no_grpc_proxy"] = "127.0.0.1"
    return clean | {f"REPLICATOR_{name}": value for name, value in settings.items()}


@contextmanager
def running(
    settings: Mapping[str, str], log: Path, *command: str, program: Sequence[str] = REPLICATOR
) -> Iterator[Recorder]:
    """Run `replicator` *command* until the block ends.

    Args:
        settings: As the environment names them, REPLICATOR_ aside.
        log: The file for its log.
        command: What it is to do.
        program: What runs it.
    """
    with log.open("wb") as stderr:
        started_at = time.time()
        process = subprocess.Popen(
            [*program, "--log-format", "json", *command],
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        recorder = Recorder(process, log, started_at)
        yield recorder
        recorder.stop()
    finally:
        process.kill()
        process.wait()


@contextmanager
def recording(
    endpoint: str, place: Place, log: Path, *, program: Sequence[str] = REPLICATOR, **settings: str
) -> Iterator[Recorder]:
    """Record the etcd at *endpoint* into *place* until the block ends; it is watching when that begins."""
    named = {"ETCD_ENDPOINTS": endpoint, **place.settings, **settings}
    with running(named, log, "run", program=program) as recorder:
        recorder.until(lambda: recorder.events("watch.started"))
        yield recorder


def _moment(event: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()
