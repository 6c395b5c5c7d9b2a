"""Whole processes under measurement: what one spends, and `replicator run` while it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

REPLICATOR = (sys.executable, "-m", "replicator")

_POLL_S = 0.004
_PATIENCE_S = 120
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process took from its start to its end; *peak_bytes* is its largest resident memory."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def spend(command: Sequence[str]) -> Spent:
    """Run *command* to its end.

    Its peak is polled: what `wait4` gives would begin with the memory of this process, which it was forked
    from.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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
    """A `replicator run` under way; its log goes to the file *log*."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events *name* that it has logged."""
        lines = self._log.read_bytes().splitlines(keepends=True)
        events = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [event for event in events if event["event"] == name]

    def durable(self) -> list[tuple[float, int]]:
        """Return for each segment when it was durable (seconds since 1970), and its last revision."""
        return [
            (datetime.fromisoformat(event["time"]).timestamp(), event["revision"])
            for event in self.events("segment.stored")
        ]

    def wait_for(self, revision: int) -> None:
        """Return when *revision* is durable."""
        self.until(lambda: any(last >= revision for _, last in self.durable()))

    def until(self, true: Callable[[], Any]) -> None:
        """Return when *true* is; raise if that takes too long or the process ends before."""
        deadline = time.monotonic() + _PATIENCE_S
        while not true():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"replicator run doesn't get there; it said:\n{self._log.read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it in an orderly way."""
        self._process.terminate()
        if self._process.wait(_PATIENCE_S):
            raise RuntimeError(f"replicator run failed; it said:\n{self._log.read_text()}")


@contextmanager
def recording(endpoint: str, archive: Path, **settings: str) -> Iterator[Recorder]:
    """Run `replicator run` on the etcd at *endpoint* until the block ends; it is watching when it begins.

    Args:
        endpoint: etcd's URL.
        archive: The archive's folder.
        settings: As the environment names them, REPLICATOR_ aside.
    """
    named = {"ETCD_ENDPOINTS": endpoint, "ARCHIVE": f"file://{archive}", **settings}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("REPLICATOR")}
    clean["no_grpc_proxy"] = "127.0.0.1"
    log = archive.with_suffix(".log")
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [*REPLICATOR, "--log-format", "json", "run"],
            env=clean | {f"REPLICATOR_{name}": value for name, value in named.items()},
            stdin=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        recorder = Recorder(process, log)
        recorder.until(lambda: recorder.events("watch.started"))
        yield recorder
        recorder.stop()
    finally:
        process.kill()
        process.wait()
