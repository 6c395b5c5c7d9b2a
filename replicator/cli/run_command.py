"""``replicator run``: the long-running process."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import click

from replicator import wiring
from replicator.telemetry.log import configure

if TYPE_CHECKING:
    from replicator.cli.app import Shared
    from replicator.flows.capture import Capture

# A signal ends the wait at once; this bounds how long a thread's end goes unnoticed.
_POLL_S = 0.2


@click.command("run")
@click.pass_obj
def command(shared: Shared) -> int:
    """Record every change under etcd's prefix into the archive, until stopped.

    It begins where the archive ends, or makes a new one. SIGTERM flushes and exits with 0.
    """
    log = configure(shared.log_format, shared.log_level)
    captures = [wiring.capture(settings, log) for settings in shared.sources()]
    return _Supervisor(captures).run()


class _Supervisor:
    """Runs captures side by side: all end when one fails, or on a signal."""

    def __init__(self, captures: list[Capture]) -> None:
        self._captures = captures
        self._failures: list[BaseException] = []
        self._signal = 0

    def run(self) -> int:
        """Return the exit code; a failure of the first capture that failed is raised."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        threads = [
            threading.Thread(target=self._record, args=(capture,), name="capture", daemon=True)
            for capture in self._captures
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(_POLL_S)
        if self._failures:
            raise self._failures[0]
        return 130 if self._signal == signal.SIGINT else 0

    def _record(self, capture: Capture) -> None:
        try:
            capture.run()
        except BaseException as failure:  # noqa: BLE001 (raised again in the main thread)
            self._failures.append(failure)
            self._stop()

    def _on_signal(self, number: int, _frame: object) -> None:
        if self._signal:  # the second one means: now
            os._exit(130)
        self._signal = number
        self._stop()

    def _stop(self) -> None:
        for capture in self._captures:
            capture.stop()
