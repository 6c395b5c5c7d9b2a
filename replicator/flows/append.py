"""Append to the stored log: one conditional create, and what it means if the name is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.core import objects
from replicator.errors import ArchiveDamaged, ObjectMissing, WriterFenced

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from replicator.core.names import LogName
    from replicator.flows.persist import Persistence
    from replicator.ports import ObjectStore


class Appender:
    """Stores segments where the log ends.

    Args:
        store: Where the log is.
        persistence: Creates objects, however long that takes.
        prove: Asks the store, and raises WriterFenced if the lease isn't ours.
        log: Hears of what is removed.
    """

    def __init__(
        self,
        store: ObjectStore,
        persistence: Persistence,
        prove: Callable[[], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._store = store
        self._persistence = persistence
        self._prove = prove
        self._log = log

    def append(self, name: LogName, body: bytes, anchor: str) -> None:
        """Store the segment *body* as *name*, behind the one whose SHA-256 is *anchor*.

        A stray may lie there: a writer that was suspended for hours finds its next name free again, since
        what had it was merged and deleted, and goes on from there for a moment. It doesn't continue our log,
        no reader can follow it, and all that it holds is in ours; so it goes.

        Raises:
            WriterFenced: Another writer has extended this log.
            StoreUnavailable: The store is away, and we are to end.
        """
        while True:
            try:
                return self._persistence.create(str(name), body)
            except WriterFenced:
                if not self._is_stray(str(name), anchor):
                    raise
            self._prove()
            self._store.delete(str(name))
            self._log.warning("stray.removed", object=str(name))

    def _is_stray(self, name: str, anchor: str) -> bool:
        try:
            return continues(self._store, name, anchor) is False
        except ArchiveDamaged:
            return False


def continues(store: ObjectStore, name: str, anchor: str) -> bool | None:
    """Tell whether the segment *name* follows the one whose SHA-256 is *anchor*; None if there is none.

    Raises:
        ArchiveDamaged: What is there can't be read.
        StoreUnavailable: The store is away.
    """
    try:
        held = objects.decode_segment(store.get(name), name)
    except ObjectMissing:
        return None
    return held.footer.previous == anchor
