"""``replicator run``: the long-running process."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import click

from replicator.cli.latest import capture_resources
from replicator.errors import ReplicatorError, SourceUnavailable, StoreUnavailable
from replicator.telemetry.log import configure
from replicator.wiring_instance import capture_files, instance_settings
from replicator.wiring_telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from structlog.typing import FilteringBoundLogger

    from replicator.cli.app import Shared
    from replicator.config import Settings
    from replicator.flows.capture import Capture

# A signal ends the wait at once; this bounds how long a thread's end goes unnoticed.
_POLL_S = 0.2

_RETRY_S = 5.0


@click.command("run")
@click.pass_obj
def command(shared: Shared) -> int:
    """Record every change under etcd's prefix into the archive, until stopped.

    It begins where the archive ends, or makes a new one. SIGTERM flushes and exits with 0.
    Of several archives one whose etcd or store is away is tried again, while the others are recorded.
    """
    log = configure(shared.log_format, shared.log_level)
    sources = shared.sources()
    meter_of = metrics(sources, log)
    recorded = list(_recorded(sources))
    captures = [capture_of(each, log, meter_of(each)) for each, capture_of in recorded]
    supervisor = _Supervisor(captures, [log.bind(archive=str(each.archive)) for each, _ in recorded])
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
    """Runs captures side by side until a signal: all end when one fails.

    But one that can't begin, since its source or its store is away, is tried again, unless none can: that
    must not keep the others from recording.
    """

    def __init__(self, captures: list[Capture], logs: list[FilteringBoundLogger]) -> None:
        self._captures = captures
        self._logs = logs
        self._away: set[int] = set()
        self._ending = threading.Event()
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
            while not self._has_recorded(index) and not self._ending.wait(_RETRY_S):
                self._away.discard(index)
        except BaseException as failure:  # noqa: BLE001 (raised again in the main thread)
            self._failures.append((index, failure))
            self._stop()

    def _has_recorded(self, index: int) -> bool:
        """Record to the end; False if that can't begin yet, and another one is at work."""
        try:
            self._captures[index].run()
        except (SourceUnavailable, StoreUnavailable) as failure:
            self._away.add(index)
            if self._ending.is_set() or len(self._away) == len(self._captures):
                raise
            log = self._logs[index]
            log.warning("capture.delayed", cause=str(failure), retry_in_s=_RETRY_S)
            return False
        return True

    def _on_signal(self, number: int, _frame: object) -> None:
        if self._signal:  # the second one means: now
            os._exit(130)
        self._signal = number
        self._stop()

    def _stop(self) -> None:
        self._ending.set()
        for capture in self._captures:
            capture.stop()
