"""Files that are recorded: a capture of them beside the test, and what it has recorded."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from archives import Strangers, quiet_log
from captures import AT_ONCE, OFTEN, SILENCE_S
from servers.command import until

from replicator.adapters.clock import SystemClock
from replicator.adapters.file_sight import Patience
from replicator.adapters.file_source import FileSource
from replicator.adapters.spool_folder import NoSpool
from replicator.core.file_changes import FILES, path_of
from replicator.core.schedule import Schedule
from replicator.flows.capture import Capture
from replicator.flows.instance import latest_files
from replicator.flows.link import Link
from replicator.flows.open_archive import open_archive
from replicator.flows.standby import LeaseRules
from replicator.flows.term import CaptureRules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from replicator.ports import ObjectStore, Spools

QUICK = Patience(quiet_s=0.03, gone_s=0.2, at_most_s=5.0, poll_s=0.05)


class Recording:
    """A capture of *paths* into *store*, in a thread of its own."""

    def __init__(
        self, store: ObjectStore, paths: Sequence[Path], patience: Patience, spools: Spools | None = None
    ) -> None:
        self.store = store
        bound, self._kept = quiet_log()

        def tell(event: str, path: str, cause: str) -> None:
            bound.warning(event, path=path, cause=cause)

        def connect() -> Link:
            source = FileSource([str(path) for path in paths], SystemClock(), tell, patience)
            return Link(
                source=source,
                prefix=FILES,
                store=store,
                spools=spools or NoSpool(),
                peers=Strangers(),
                clock=SystemClock(),
                log=bound,
                continue_from=source.continue_from,
            )

        rules = CaptureRules(AT_ONCE, Schedule("@every 1h"))
        self.capture = Capture(connect, rules, LeaseRules(SILENCE_S, OFTEN))
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.capture.run()
        except BaseException as failure:  # noqa: BLE001 (the result)
            self.failure = failure

    def events(self, name: str) -> list[Any]:
        """Return the events of that *name* that were logged."""
        return [entry for entry in self._kept.entries if entry["event"] == name]

    def tells(self, name: str, times: int = 1) -> None:
        """Wait until the event *name* was logged so many *times*."""
        until(lambda: len(self.events(name)) >= times or self.failure is not None, name)
        assert self.failure is None, self.failure

    def holds(self, *expected: tuple[Path, bytes]) -> None:
        """Wait until the archive's latest files are those."""
        wanted = {str(path): body for path, body in expected}

        def does() -> bool:
            assert self.failure is None, self.failure
            return latest_files(self.store) == wanted

        until(does, f"files {wanted}")

    def stop(self) -> None:
        """End it in order."""
        self.capture.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()


@contextmanager
def recording(
    store: ObjectStore, *paths: Path, patience: Patience = QUICK, **rest: Any
) -> Iterator[Recording]:
    """Record *paths* while the block runs."""
    running = Recording(store, paths, patience, **rest)
    try:
        yield running
    finally:
        running.stop()


def epochs(store: ObjectStore) -> list[str]:
    """Return why each epoch was opened."""
    return [epoch.reason for epoch in open_archive(store).epochs]


def named(key: bytes) -> str:
    """Return the last part of the path that *key* stands for."""
    return path_of(key).rpartition("/")[2]
