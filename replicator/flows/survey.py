"""What can be restored: each epoch's coverage, told by names and by the last segment alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.core import objects
from replicator.core.plan import spans
from replicator.core.records import Position
from replicator.flows.open_archive import log, open_archive, snapshots
from replicator.flows.restore import Reach

if TYPE_CHECKING:
    from replicator.core.documents import Archive, Checkpoint, Epoch
    from replicator.core.names import SnapshotName
    from replicator.core.plan import Span
    from replicator.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one epoch can restore: every moment from its base up to *reach*.

    Attributes:
        epoch: Why, when and where it begins.
        end: The last revision that was recorded.
        reach: How far it is known; nothing more happened between *end* and there.
        snapshots: Its snapshots, by revision.
    """

    epoch: Epoch
    end: int
    reach: Reach
    snapshots: tuple[SnapshotName, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """An archive at a glance; *coverage* has an entry for each epoch, in order, and gaps lie between them."""

    archive: Archive
    coverage: tuple[Coverage, ...]
    checkpoint: Checkpoint | None


def survey(store: ObjectStore) -> Survey:
    """Return what the archive in *store* can restore. Nothing is replayed, so nothing is proved.

    Raises:
        UsageError: There is no archive.
        ArchiveDamaged: An epoch's last segment is damaged.
    """
    opened = open_archive(store)
    coverage = tuple(_coverage(store, span, opened.checkpoint) for span in spans(opened.epochs))
    return Survey(opened.archive, coverage, opened.checkpoint)


def _coverage(store: ObjectStore, span: Span, checkpoint: Checkpoint | None) -> Coverage:
    epoch = span.epoch
    points = tuple(filter(span.counts, snapshots(store, epoch)))
    if span.end is not None:
        reach = Reach(span.end.through_revision, span.end.observed_through)
        return Coverage(epoch, span.end.position.revision, reach, points)
    end, reach = _end_of_log(store, points[-1])
    if checkpoint is not None and checkpoint.position == Position(epoch.epoch, end):
        reach = Reach(
            max(reach.through_revision, checkpoint.through_revision),
            max(reach.observed_through, checkpoint.observed_through),
        )
    return Coverage(epoch, end, reach, points)


def _end_of_log(store: ObjectStore, newest: SnapshotName) -> tuple[int, Reach]:
    """Return the last revision of the log, and how far its last segment reaches."""
    last = deque(log(store, newest.epoch, newest.revision), maxlen=1)
    if not last:
        return newest.revision, Reach(newest.revision, newest.observed_at)
    name = str(last[0])
    footer = objects.decode_segment(store.get(name), name).footer
    return footer.last_revision, Reach(footer.through_revision, footer.observed_through)
