"""What a gateway's pod of deploy/kubernetes runs: its scripts, and programs of a test's own beside them."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servers.command import until
from servers.etcd import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCRIPTS = ROOT / "deploy/kubernetes/scripts"


@dataclass(frozen=True)
class Container:
    """A script at work, with all that it starts, and what they say."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """Return all that was said."""
        return self.log.read_text()

    def says(self, words: str) -> None:
        """Wait until *words* are said."""
        until(lambda: words in self.said(), f"{words}; it said:\n{self.log.read_text()}")

    def stop(self, number: signal.Signals) -> int:
        """Send a signal, as a container's end does; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


class Pod:
    """The folders that a pod's containers share, under *home*, and a folder of programs."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.conf = home / "conf"
        for folder in (self.conf, home / "logs", home / "bin"):
            folder.mkdir(parents=True, exist_ok=True)
        self._environment = os.environ | {
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "APISIX_PREFIX": str(home),
            "RELOAD_POLL_S": "0.05",
            "AGENT_PAUSE_S": "0.1",
        }

    def program(self, name: str, body: str) -> None:
        """Put a shell script among the programs; its folder is `$POD`, and each call is noted in `calls`."""
        path = self.home / "bin" / name
        note = f'POD={self.home}\necho "{name} $*" >> "$POD/calls"\n'
        path.write_text(f"#!/bin/sh\n{note}{body}")
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """Each call of a program, with its arguments."""
        path = self.home / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def run(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a script to its end."""
        return subprocess.run(
            [str(SCRIPTS / script), *words],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @contextmanager
    def container(self, script: str, *words: str) -> Iterator[Container]:
        """Run a script for the time of the block; whatever is left of it is killed."""
        log = self.home / f"{script}.log"
        with log.open("ab") as said:
            process = subprocess.Popen(
                [str(SCRIPTS / script), *words],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        try:
            yield Container(process, log)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
