"""What can be restored: each epoch's coverage, told by names and by the log's last segments alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.core.merged import segments_of
from replicator.core.names import MergedName
from replicator.core.plan import spans
from replicator.errors import ObjectMissing
from replicator.flows.fetch import fetch
from replicator.flows.open_archive import open_archive, pieces, snapshots, thinned_through
from replicator.flows.restore import Reach

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replicator.core.documents import Archive, Checkpoint, Epoch
    from replicator.core.names import PieceName, SnapshotName
    from replicator.core.objects import SegmentFooter
    from replicator.core.plan import Span
    from replicator.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one epoch can restore: every moment from *first* up to *reach*, and those in *kept*.

    Attributes:
        epoch: Why, when and where it begins.
        end: The last revision that was recorded.
        reach: How far it is known; nothing more happened between *end* and there.
        snapshots: Its snapshots, by revision.
        thinned_through: Retention may have taken what lies before this revision; 0 if it took nothing.
    """

    epoch: Epoch
    end: int
    reach: Reach
    snapshots: tuple[SnapshotName, ...]
    thinned_through: int = 0

    @property
    def first(self) -> SnapshotName | None:
        """Where it begins to hold every moment: the base, or what retention made of it; None for nowhere."""
        return next((name for name in self.snapshots if name.revision >= self.thinned_through), None)

    @property
    def kept(self) -> tuple[SnapshotName, ...]:
        """The snapshots before that, each of which stands for itself."""
        return tuple(name for name in self.snapshots if name.revision < self.thinned_through)


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
    thinned = thinned_through(store, epoch.epoch)
    if span.end is not None:
        reach = Reach(span.end.through_revision, span.end.observed_through)
        return Coverage(epoch, span.end.position.revision, reach, points, thinned)
    hint = checkpoint if checkpoint is not None and checkpoint.position.epoch == epoch.epoch else None
    end, reach = _end_of_log(store, points[-1], hint)
    if hint is not None and hint.position.revision == end:
        reach = Reach(
            max(reach.through_revision, hint.through_revision),
            max(reach.observed_through, hint.observed_through),
        )
    return Coverage(epoch, end, reach, points, thinned)


def _end_of_log(store: ObjectStore, newest: SnapshotName, hint: Checkpoint | None) -> tuple[int, Reach]:
    """Return the last revision of the log, and how far its last segment reaches.

    The log is followed from segment to segment, since the last name may be a stale writer's. It is followed
    from where the checkpoint says that it ended a moment ago, if a segment ends there: an object or two, and
    else those since the newest snapshot.
    """
    end, reach = newest.revision, Reach(newest.revision, newest.observed_at)
    known = hint.position.revision if hint is not None else end
    listed = list(pieces(store, newest.epoch, end))
    before = [name for name in listed if name.after < known][-1:]
    if before and (footer := _footer_ending(store, before[0], known)):
        end, reach = known, Reach(footer.through_revision, footer.observed_through)
    for footer in _following(store, listed, end):
        end, reach = footer.last_revision, Reach(footer.through_revision, footer.observed_through)
    return end, reach


def _footer_ending(store: ObjectStore, name: PieceName, revision: int) -> SegmentFooter | None:
    """Return the footer of the segment in *name* that ends at *revision*, if one does."""
    try:
        footers = [segment.footer for segment in segments_of(store.get(str(name)), name)]
    except ObjectMissing:  # merged this moment
        return None
    return next((footer for footer in footers if footer.last_revision == revision), None)


def _following(store: ObjectStore, names: Sequence[PieceName], position: int) -> Iterator[SegmentFooter]:
    """Yield the footers of the segments in *names* that lead on from *position*, up to a hole."""
    needed = (name for name in names if name.after >= position or _holds(name, position))
    bodies = fetch(store, needed)
    try:
        for name, body in bodies:
            for segment in segments_of(body, name):
                if segment.header.revision == position:
                    yield segment.footer
                    position = segment.footer.last_revision
    except ObjectMissing:  # merged this moment
        return
    finally:
        bodies.close()


def _holds(name: PieceName, position: int) -> bool:
    return isinstance(name, MergedName) and name.last > position
