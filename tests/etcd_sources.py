"""The etcd adapter's sources, and somebody who listens to one."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from servers.command import until

from replicator.adapters.clock import SystemClock
from replicator.adapters.etcd import EtcdOptions, EtcdSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.ports import Delivery

PREFIX = b"/apisix"


def source_of(*endpoints: str, **options: str) -> EtcdSource:
    """Return a source that nobody has connected yet."""
    return EtcdSource(EtcdOptions(endpoints, **options), PREFIX, SystemClock(), ["/routes/", "/ssls/"])


class Listener:
    """Runs a watch in a thread; *deliveries* grows, *failure* is what ended it."""

    def __init__(self, source: EtcdSource, after: int) -> None:
        self.deliveries: list[Delivery] = []
        self.failure: Exception | None = None
        self.thread = threading.Thread(target=self._listen, args=(source, after), daemon=True)
        self.thread.start()

    def _listen(self, source: EtcdSource, after: int) -> None:
        try:
            self.deliveries.extend(source.watch(after))
        except Exception as failure:  # noqa: BLE001 (the result)
            self.failure = failure

    def revisions(self) -> list[int]:
        """Return the revisions that were delivered."""
        return [revision for delivery in self.deliveries for revision, _ in delivery.revisions]

    def reached(self) -> int:
        """Return how far the watch is known to have come."""
        bookmarks = [delivery.through for delivery in self.deliveries if delivery.through is not None]
        return max([0, *bookmarks, *self.revisions()])

    def hears(self, revision: int) -> None:
        """Wait until the watch has come to *revision*."""
        until(lambda: self.failure is not None or self.reached() >= revision, f"revision {revision}")
        assert self.failure is None


@contextmanager
def listening(source: EtcdSource, after: int) -> Iterator[Listener]:
    """Watch for the time of the block."""
    listener = Listener(source, after)
    try:
        yield listener
    finally:
        source.interrupt()
        listener.thread.join(10)
        assert not listener.thread.is_alive()
