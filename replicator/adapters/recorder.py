"""`replicator run` as a child process, and what its log says. For `replicator demo`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from replicator.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STOP_S = 10


class Recorder:
    """One `replicator run` with the settings of one file, and with none from the environment.

    It is in a process group of its own, so that a terminal's Ctrl-C reaches only us; where util-linux's
    `setpriv` is at hand the kernel ends it in good order if we end otherwise.

    Args:
        settings: The file for ``-c``.
        log: Where its log goes, a JSON object a line; made anew.
    """

    def __init__(self, settings: Path, log: Path) -> None:
        self._settings = settings
        self._log = log
        self._read_bytes = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; it is ready when `news` has told of ``watch.started``."""
        launcher = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        program = [sys.executable, "-m", "replicator", "-c", str(self._settings), "--log-format", "json"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*launcher, *program, "run"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                process_group=0,
            )

    def news(self) -> Iterator[dict[str, Any]]:
        """Yield the log's events since the last call.

        Raises:
            StoreUnavailable: The process has ended, though nobody told it to.
        """
        ended = self._process is None or self._process.poll() is not None
        with self._log.open("rb") as log:
            log.seek(self._read_bytes)
            whole_lines, _, _ = log.read().rpartition(b"\n")
        self._read_bytes += len(whole_lines) + 1 if whole_lines else 0
        for line in whole_lines.splitlines():
            if line.startswith(b"{"):  # else it is a last word: an error's
                yield json.loads(line)
        if ended:
            raise StoreUnavailable("`replicator run` has ended", hint=f"its last words are in {self._log}")

    def stop(self) -> None:
        """Let the process flush and end, by force if it takes over 10 s. No error if it has ended."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _environment() -> dict[str, str]:
    """Return ours without settings that would override the file's, and without a proxy to loopback."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("REPLICATOR_")}
    return ours | {"no_grpc_proxy": "127.0.0.1"}
