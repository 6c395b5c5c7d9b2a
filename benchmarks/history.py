"""Write long histories straight into a store, with the codecs, rules and merging that a capture uses.

Time is reckoned, not waited for, and no etcd is asked: a million changes take a minute.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from typing import TYPE_CHECKING

import structlog

from replicator.adapters.process import LocalPeers
from replicator.adapters.spool_folder import NoSpool
from replicator.core import documents, names
from replicator.core.documents import Archive, Checkpoint
from replicator.core.records import Batch, Event, Record
from replicator.core.schedule import Schedule
from replicator.core.state import State
from replicator.flows.link import Link
from replicator.flows.merge import Merger, MergeRules
from replicator.flows.open_epoch import Base, open_epoch
from replicator.flows.persist import Persistence
from replicator.flows.snapshots import Snapshots
from replicator.flows.tip import Watermark
from replicator.ports import SourceStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.shop import KeyValue
    from replicator.ports import ObjectStore

BEGUN_AT = datetime(2026, 1, 1, tzinfo=UTC)

_PREFIX = "/apisix"
_ARCHIVE_ID = "some-archive"
_WRITER = "some-writer"
_AT_ONCE = MergeRules(grace=timedelta(0))


class ReckonedClock:
    """A `Clock` whose time is what somebody has set."""

    def __init__(self) -> None:
        self.moment = BEGUN_AT

    def now(self) -> datetime:
        """Return the time that was set last."""
        return self.moment

    def monotonic(self) -> float:
        """Return the same in seconds."""
        return (self.moment - BEGUN_AT).total_seconds()

    def sleep(self, seconds: float) -> None:
        """Move the time on."""
        self.moment += timedelta(seconds=seconds)


class History:
    """An archive in *store* that begins with *items*, and goes on with each `record`.

    Args:
        store: Where it is written.
        items: What the first epoch begins with.
        schedule: When a snapshot is cut at the latest, as `snapshot.cron_spec` says it.
        merging: When `tidy` merges, and when it deletes; at once if left out.

    Attributes:
        clock: Its time.
    """

    def __init__(
        self,
        store: ObjectStore,
        items: Iterable[KeyValue],
        schedule: str = "@every 1m",
        merging: MergeRules = _AT_ONCE,
    ) -> None:
        self.clock = ReckonedClock()
        self._store = store
        self._merger = Merger(store, merging, self.clock)
        link = Link(
            source=None,  # type: ignore[arg-type] (nothing is asked of it)
            prefix=_PREFIX,
            store=store,
            spools=NoSpool(),
            peers=LocalPeers(),
            clock=self.clock,
            log=structlog.wrap_logger(None, processors=[_silent]),
            writer=_WRITER,
        )
        archive = Archive(format=1, archive_id=_ARCHIVE_ID, prefix=_PREFIX, created_at=BEGUN_AT)
        store.create(names.ARCHIVE, documents.encode(archive))
        self._persistence = Persistence(link, Flag())
        self._tip = open_epoch(link, self._persistence, _base(items), _ARCHIVE_ID)
        self._snapshots = Snapshots(store, Schedule(schedule), self.clock, link.log)

    @property
    def state(self) -> State:
        """Every key as it is now."""
        return self._tip.state

    @property
    def snapshot_revision(self) -> int:
        """Revision of the newest snapshot."""
        return self._tip.snapshot_revision

    def record(self, changes: Iterable[KeyValue], each: timedelta) -> None:
        """Store *changes* as one segment, *each* so much later than the one before; a snapshot too if due."""
        batches = tuple(self._batches(changes, each))
        name, body, *_ = self._tip.seal(batches, Watermark(batches[-1].revision, self.clock.now()))
        self._persistence.create(str(name), body)
        self._snapshots.consider(self._tip)
        self._snapshots.stored(self._tip.log_end)
        self._snapshots.finish()

    def tidy(self) -> None:
        """Merge what a capture would have merged by now, and delete what it would have deleted."""
        self._merger.tidy(1, self._tip.snapshot_revision)

    def close(self) -> None:
        """Write the checkpoint."""
        checkpoint = Checkpoint(
            position=self._tip.position,
            through_revision=self._tip.watermark.revision,
            observed_through=self._tip.watermark.moment,
            writer=_WRITER,
            written_at=self.clock.now(),
        )
        self._store.replace(names.CHECKPOINT, None, documents.encode(checkpoint))

    def _batches(self, changes: Iterable[KeyValue], each: timedelta) -> Iterator[Batch]:
        fresh: dict[bytes, Record] = {}
        for revision, (key, value) in enumerate(changes, self._tip.state.revision + 1):
            self.clock.moment += each
            old = fresh.get(key) or self._tip.state.get(key)
            created, version = (old.create_revision, old.version) if old else (revision, 0)
            fresh[key] = Record(value, created, revision, version + 1, 0)
            yield Batch(revision, self.clock.moment, (Event(key, fresh[key]),))


def _base(items: Iterable[KeyValue]) -> Base:
    placed = list(enumerate(items, 1))
    state = State(len(placed))
    for revision, (key, value) in placed:
        state.add(key, Record(value, revision, revision, 1, 0))
    return Base(SourceStatus("c1", "3.5.16", len(placed)), state, BEGUN_AT)


def _silent(_logger: object, _method: str, _event: object) -> str:
    raise structlog.DropEvent
