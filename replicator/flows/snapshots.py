"""Cut snapshots in the background, so that no restore ever replays more than it saves."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from replicator.core import objects
from replicator.core.frame import digest_of
from replicator.core.names import SnapshotName
from replicator.core.snapshot_rule import tail_outweighs
from replicator.errors import ObjectExists, StoreUnavailable
from replicator.flows.readback import Stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from replicator.core.schedule import Schedule
    from replicator.flows.tip import Tip
    from replicator.ports import Clock, ObjectStore


class Snapshots:
    """Stores a snapshot of a changed state when the tail outweighs it, and at the latest by *schedule*.

    *on_stored* hears of each that was stored, in the thread that stored it.
    """

    def __init__(
        self,
        store: ObjectStore,
        schedule: Schedule,
        clock: Clock,
        log: FilteringBoundLogger,
        on_stored: Callable[[Stored], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._schedule = schedule
        self._clock = clock
        self._log = log
        self._on_stored = on_stored
        self._due_at = schedule.next_after(clock.now())
        self._under_way: threading.Thread | None = None
        self._was_missed = False

    def consider(self, tip: Tip, *, is_urgent: bool = False) -> None:
        """Begin a snapshot of *tip*'s state if one is due, or urgent, and none is under way."""
        now = self._clock.now()
        is_scheduled = now >= self._due_at
        if is_scheduled:
            self._due_at = self._schedule.next_after(now)
        has_changed = self._was_missed or tip.state.revision > tip.snapshot_revision
        if has_changed and (
            is_scheduled or is_urgent or tail_outweighs(tip.tail_bytes, tip.state.size_bytes)
        ):
            self._begin(tip)

    def finish(self) -> None:
        """Wait for the snapshot under way, if there is one."""
        if self._under_way is not None:
            self._under_way.join()

    def _begin(self, tip: Tip) -> None:
        if self._under_way is not None and self._under_way.is_alive():
            return
        name = SnapshotName(tip.epoch.epoch, tip.state.revision, tip.observed_at)
        # The copy shares the records, so that it costs a few milliseconds; all else happens beside the log.
        encode = partial(
            objects.encode_snapshot, tip.header("snapshot"), tip.state.copy(), tip.snapshot_footer()
        )
        stored = partial(
            Stored,
            name=str(name),
            position=tip.position,
            moment=tip.watermark.moment,
            state_digest=tip.state.digest,
        )
        tip.snapshot_revision, tip.tail_bytes, self._was_missed = tip.state.revision, 0, False
        self._under_way = threading.Thread(
            target=self._make, args=(str(name), encode, stored), name="snapshot", daemon=True
        )
        self._under_way.start()

    def _make(self, name: str, encode: Callable[[], bytes], stored: Callable[..., Stored]) -> None:
        body = encode()
        try:
            self._store.create(name, body)
        except ObjectExists:  # a writer before us cut it at the same revision: as good as ours
            return
        except StoreUnavailable as error:
            self._was_missed = True
            self._log.warning("snapshot.missed", object=name, cause=str(error))
            return
        self._log.info("snapshot.stored", object=name, size_bytes=len(body))
        self._on_stored(stored(digest=digest_of(body)))
