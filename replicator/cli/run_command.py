"""``replicator run``: the long-running process."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import click

from replicator import wiring
from replicator.cli.latest import capture_resources
from replicator.errors import ReplicatorError
from replicator.telemetry.log import configure
from replicator.wiring_instance import capture_files, instance_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicator.cli.app import Shared
    from replicator.config import Settings
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
    sources = shared.sources()
    meter_of = wiring.metrics(sources, log)
    recorded = list(_recorded(sources))
    supervisor = _Supervisor([capture_of(each, log, meter_of(each)) for each, capture_of in recorded])
    try:
        return supervisor.run()
    except ReplicatorError as error:
        if shared.log_format == "console":
            raise
        failure, failed = error, recorded[supervisor.failed][0]
    log = log.bind(archive=str(failed.archive))
    log.error("run.failed", cause=str(failure), hint=failure.hint, exit_code=failure.exit_code)
    return failure.exit_code


def _recorded(sources: list[Settings]) -> Iterator[tuple[Settings, Callable[..., Capture]]]:
    """Yield the settings of each archive that is written, and what gives its capture."""
    for settings in sources:
        yield settings, capture_resources
        beside = instance_settings(settings)
        if beside is not None and settings.instance.files:
            yield beside, capture_files


class _Supervisor:
    """Runs captures side by side: all end when one fails, or on a signal."""

    def __init__(self, captures: list[Capture]) -> None:
        self._captures = captures
        self._failures: list[tuple[int, BaseException]] = []
        self._signal = 0

    @property
    def failed(self) -> int:
        """The index of the capture that failed first."""
        return self._failures[0][0]

    def run(self) -> int:
        """Return the exit code; a failure of the first capture that failed is raised."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        threads = [
            threading.Thread(target=self._record, args=(index,), name="capture", daemon=True)
            for index in range(len(self._captures))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(_POLL_S)
        if self._failures:
            raise self._failures[0][1]
        return 130 if self._signal == signal.SIGINT else 0

    def _record(self, index: int) -> None:
        try:
            self._captures[index].run()
        except BaseException as failure:  # noqa: BLE001 (raised again in the main thread)
            self._failures.append((index, failure))
            self._stop()

    def _on_signal(self, number: int, _frame: object) -> None:
        if self._signal:  # the second one means: now
            os._exit(130)
        self._signal = number
        self._stop()

    def _stop(self) -> None:
        for capture in self._captures:
            capture.stop()
