"""Walk one epoch from its base to its end: every segment, every snapshot, everything that they promise."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from replicator.core import objects
from replicator.core.names import LogName, epoch_document
from replicator.core.order import disorder
from replicator.core.plan import Latest
from replicator.core.records import Position
from replicator.core.replay import Replay
from replicator.errors import ArchiveDamaged, ObjectMissing
from replicator.flows.findings import NOTHING_LOST, moments
from replicator.flows.open_archive import log, snapshots
from replicator.flows.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from replicator.core.names import SnapshotName
    from replicator.core.objects import Segment
    from replicator.core.plan import Span
    from replicator.flows.findings import Findings
    from replicator.ports import ObjectStore

_DELETE = (
    "bring it back from a replica or an older version of the bucket; or delete it: the log up to there is "
    "whole, and restores then begin at the snapshot before it"
)
_BEFORE = "segment inside of what others hold, of a stale writer; passed over"
_BEYOND = "beyond the end of an epoch that another follows, of a stale writer; never read"


class EpochWalk:
    """Folds the whole log of *span*'s epoch once; goes on after a damage at the next snapshot that is whole.

    Args:
        store: Where the archive is.
        archive_id: As in archive.json; None if that can't be read: then as the epoch's first object says.
        span: The epoch, and where the next one follows.
        findings: Where to what is found.
    """

    def __init__(self, store: ObjectStore, archive_id: str | None, span: Span, findings: Findings) -> None:
        self._store = store
        self._archive_id = archive_id
        self._span = span
        self._findings = findings
        self._points: deque[SnapshotName] = deque()
        self._broken: tuple[str, str, tuple[int, datetime]] | None = None

    def walk(self) -> None:
        """Read, fold and compare everything."""
        self._findings.epochs += 1
        # Listed before the log, which is then at least as long.
        for point in snapshots(self._store, self._span.epoch):
            if self._span.counts(point):
                self._points.append(point)
            else:
                self._findings.note(str(point), _BEYOND)
        while self._points:
            replay = self._begin(self._points.popleft())
            if replay is not None:
                self._settle(replay.state.revision, replay.observed_at)
                self._follow(replay)
        self._settle(None, None)

    def _begin(self, name: SnapshotName) -> Replay | None:
        """Return the fold at a snapshot to begin with; None if it is damaged."""
        try:
            snapshot = objects.decode_snapshot(self._store.get(str(name)), str(name))
            self._archive_id = self._archive_id or snapshot.header.archive_id
            replay = Replay(Latest(), self._archive_id, name, snapshot)
        except (ArchiveDamaged, ObjectMissing) as damage:
            self._findings.damage(str(name), _said(damage, str(name)), self._until_next(name))
            return None
        if not name.is_base:
            self._count_snapshot()
        return replay

    def _follow(self, replay: Replay) -> None:
        """Fold the log behind *replay* as far as it is whole, and compare each snapshot on the way."""
        known = replay.state.revision, replay.observed_at
        try:
            for name, segment in self._segments(replay):
                before, observed_at = replay.footer, replay.observed_at
                replay.take(name, segment)
                for complaint in disorder(before, observed_at, segment):
                    lost = "none by revision; times near it may be off"
                    self._findings.damage(str(name), f"{name} is damaged: {complaint}", lost)
                known = replay.state.revision, replay.observed_at
                self._findings.segments += 1
                self._findings.revisions += len(segment.batches)
                self._compare(replay)
        except ArchiveDamaged as damage:
            self._broken = str(LogName(self._span.epoch.epoch, known[0])), str(damage), known
        else:
            self._end(replay)
        self._findings.end = Position(self._span.epoch.epoch, known[0])

    def _segments(self, replay: Replay) -> Iterator[tuple[LogName, Segment]]:
        """Yield what follows *replay*, which takes each before the next, up to the epoch's end."""
        epoch, stuck_at = self._span.epoch.epoch, -1
        while True:
            try:
                if self._is_at_end(replay):
                    return
                for name, segment in walk(self._store, epoch, replay.state.revision, self._pass_over):
                    yield name, segment
                    if self._is_at_end(replay):
                        return
            except ObjectMissing as missing:  # merged away meanwhile? Then the next try finds another way
                if replay.state.revision == stuck_at:
                    raise ArchiveDamaged(f"{missing} is listed, and missing") from None
                stuck_at = replay.state.revision
            else:
                return

    def _pass_over(self, name: str) -> None:
        self._findings.note(name, _BEFORE)

    def _is_at_end(self, replay: Replay) -> bool:
        end = self._span.end
        return end is not None and replay.state.revision >= end.position.revision

    def _compare(self, replay: Replay) -> None:
        """Compare the snapshots up to where *replay* stands with it."""
        while self._points and self._points[0].revision <= replay.state.revision:
            name = self._points.popleft()
            self._count_snapshot()
            try:
                self._compare_one(replay, name)
            except (ArchiveDamaged, ObjectMissing) as damage:
                self._findings.damage(str(name), _said(damage, str(name)), self._until_next(name), _DELETE)

    def _compare_one(self, replay: Replay, name: SnapshotName) -> None:
        header, footer, digest = objects.inspect_snapshot(self._store.get(str(name)), str(name))
        expected = (self._archive_id, name.epoch, name.revision)
        pairs = (
            ("its header names another place", (header.archive_id, header.epoch, header.revision), expected),
            ("no segment ends at its revision", name.revision, replay.state.revision),
            ("its state isn't what the log gives", footer.state_digest, replay.state.digest),
            ("its time isn't that of the log", name.observed_at, replay.observed_at),
            ("its window isn't that of the log", footer.window, replay.window),
            ("it names another segment than the one before it", footer.anchor(digest), replay.anchor),
        )
        for complaint, found, wanted in pairs:
            if found != wanted:
                raise ArchiveDamaged(f"{name} is damaged: {complaint}")

    def _end(self, replay: Replay) -> None:
        """Look at what lies beyond the log's end: snapshots, and what the next epoch says of it."""
        end, place = self._span.end, (replay.state.revision, replay.observed_at)
        following = self._points[0].revision if self._points else end.position.revision if end else 0
        if place[0] < following:
            name = str(LogName(self._span.epoch.epoch, place[0]))
            self._broken = name, f"{name} is missing: the history goes on to revision {following}", place
        elif end is not None:
            self._fit_to_next(replay)
        if end is not None:
            for name_beyond in log(self._store, self._span.epoch.epoch, end.position.revision):
                self._findings.note(str(name_beyond), _BEYOND)

    def _fit_to_next(self, replay: Replay) -> None:
        end, following = self._span.end, self._span.following
        if end is None or following is None:
            return
        known = replay.footer.through_revision, max(replay.observed_at, replay.footer.observed_through)
        pairs = (
            ("at another revision", end.position.revision == replay.state.revision),
            ("with another segment", end.segment == replay.anchor),
            ("known less far than its log says", known[0] <= end.through_revision),
            ("known less long than its log says", known[1] <= end.observed_through),
        )
        for complaint, is_fine in pairs:
            if not is_fine:
                what = f"it says that epoch {end.position.epoch} ends {complaint}"
                self._findings.damage(epoch_document(following.epoch), what, NOTHING_LOST)

    def _settle(self, revision: int | None, observed_at: datetime | None) -> None:
        """Tell of the break in the log, now that it is known where the history goes on."""
        if self._broken is None:
            return
        name, what, known = self._broken
        before = (revision, observed_at) if revision is not None and observed_at is not None else None
        self._findings.damage(name, what, moments(known, before, inclusive=False))
        self._broken = None

    def _until_next(self, name: SnapshotName) -> str:
        """Return the moments that begin with the snapshot *name*, and end before the next one."""
        following = self._points[0] if self._points else None
        before = (following.revision, following.observed_at) if following else None
        return moments((name.revision, name.observed_at), before, inclusive=True)

    def _count_snapshot(self) -> None:
        self._findings.snapshots += 1


def _said(damage: Exception, name: str) -> str:
    return f"{name} is missing" if isinstance(damage, ObjectMissing) else str(damage)
