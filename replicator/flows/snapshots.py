"""Cut snapshots in the background, so that no restore ever replays more than it saves."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from replicator.core import objects
from replicator.core.frame import digest_of
from replicator.core.names import SnapshotName
from replicator.core.records import Position
from replicator.core.snapshot_rule import tail_outweighs
from replicator.errors import KeyMissing, ObjectExists, StoreUnavailable, WriterFenced
from replicator.flows.readback import Stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from replicator.core.objects import Header, SnapshotFooter
    from replicator.core.schedule import Schedule
    from replicator.core.state import State
    from replicator.flows.tip import LogEnd, Tip
    from replicator.ports import Clock, ObjectStore


@dataclass(frozen=True, slots=True)
class _Cut:
    """A state that is to be stored as soon as the log has come so far."""

    name: SnapshotName
    header: Header
    state: State
    footer: SnapshotFooter

    def stored(self, digest: str) -> Stored:
        """Return what is told of it once it is stored, with the SHA-256 *digest*."""
        position = Position(self.name.epoch, self.name.revision)
        moment = self.footer.observed_through
        return Stored(str(self.name), digest, position, moment, self.state.digest)


class Snapshots:
    """Stores a snapshot of a changed state when the tail outweighs it, and at the latest by *schedule*.

    One thread decides with `consider`, any other tells with `stored` how far the stored log has come: no
    snapshot is stored before the segment that leads to it. *on_stored* hears of each that was stored, and of
    the state that it shows, in the thread that stored it. *prove* asks the store, and raises WriterFenced if
    the lease isn't ours.
    """

    def __init__(
        self,
        store: ObjectStore,
        schedule: Schedule,
        clock: Clock,
        log: FilteringBoundLogger,
        on_stored: Callable[[Stored, State], None] = lambda _stored, _state: None,
        prove: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._schedule = schedule
        self._clock = clock
        self._log = log
        self._on_stored = on_stored
        self._prove = prove
        self._due_at = schedule.next_after(clock.now())
        self._guard = threading.Lock()
        self._waiting: _Cut | None = None
        self._under_way: threading.Thread | None = None
        self._was_missed = False

    def consider(self, tip: Tip, *, is_urgent: bool = False) -> bool:
        """Cut a snapshot of *tip*'s state if one is due, or urgent, and none is under way; tell if one was.

        The last sealed segment must then be stored as one that ends there.
        """
        now = self._clock.now()
        is_scheduled = now >= self._due_at
        if is_scheduled:
            self._due_at = self._schedule.next_after(now)
        has_changed = self._was_missed or tip.state.revision > tip.snapshot_revision
        is_heavy = tail_outweighs(tip.tail_bytes, tip.state.size_bytes)
        return has_changed and (is_scheduled or is_urgent or is_heavy) and self._cut(tip)

    def stored(self, end: LogEnd) -> None:
        """Begin to store the snapshot that waits for the stored log to come to *end*, if there is one."""
        with self._guard:
            cut = self._waiting
            if cut is None or cut.name.revision != end.position.revision:
                return
            self._waiting = None
            self._under_way = threading.Thread(
                target=self._make, args=(cut, end), name="snapshot", daemon=True
            )
            self._under_way.start()

    def finish(self) -> None:
        """Wait for the snapshot under way, if there is one."""
        if self._under_way is not None:
            self._under_way.join()

    def _cut(self, tip: Tip) -> bool:
        with self._guard:
            if self._waiting is not None or (self._under_way is not None and self._under_way.is_alive()):
                return False
            # The copy shares the records, so that it costs a few milliseconds; all else happens beside the
            # log.
            name = SnapshotName(tip.epoch.epoch, tip.state.revision, tip.observed_at)
            self._waiting = _Cut(name, tip.header("snapshot"), tip.state.copy(), tip.snapshot_footer())
        tip.snapshot_revision, tip.tail_bytes, self._was_missed = tip.state.revision, 0, False
        return True

    def _make(self, cut: _Cut, end: LogEnd) -> None:
        name = str(cut.name)
        # It promises no more than the log that leads to it: another writer may go on from there, and stamp
        # by that.
        footer = msgspec.structs.replace(
            cut.footer,
            segment=end.anchor,
            through_revision=end.watermark.revision,
            observed_through=end.watermark.moment,
        )
        body = objects.encode_snapshot(cut.header, cut.state, footer)
        try:
            # The segment that leads to it may be a stray: one that a writer which stood still for long, and
            # doesn't know, has stored under a name that was merged away. A snapshot would lead readers there.
            self._prove()
            self._store.create(name, body)
        except WriterFenced:  # the term finds out by itself
            return
        except ObjectExists:  # a writer before us cut it at the same revision: as good as ours
            return
        except (StoreUnavailable, KeyMissing) as error:
            self._was_missed = True
            self._log.warning("snapshot.missed", object=name, cause=str(error))
            return
        self._log.info("snapshot.stored", object=name, size_bytes=len(body))
        self._on_stored(cut.stored(digest_of(body)), cut.state)
