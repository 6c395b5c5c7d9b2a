"""Files that are recorded: a capture of them beside the test, and what it has recorded."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from archives import Strangers, quiet_log
from captures import AT_ONCE, OFTEN, SILENCE_S, Background

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


class Recording(Background):
    """A capture of *paths* into *store*, in the background."""

    def __init__(
        self, store: ObjectStore, paths: Sequence[Path], patience: Patience, spools: Spools | None = None
    ) -> None:
        self.store = store
        bound, kept = quiet_log()

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
        super().__init__(Capture(connect, rules, LeaseRules(SILENCE_S, OFTEN)), kept)

    def holds(self, *expected: tuple[Path, bytes]) -> None:
        """Wait until the archive's latest files are those."""
        wanted = {str(path): body for path, body in expected}
        self.waits(lambda: latest_files(self.store) == wanted, f"files {wanted}")


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
