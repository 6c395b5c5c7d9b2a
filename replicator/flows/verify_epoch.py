"""Walk one epoch from its base to its end: every segment, every snapshot, everything that they promise."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from replicator.core import names, objects
from replicator.core.merged import segments_from
from replicator.core.names import LogName, MergedName, epoch_document
from replicator.core.order import disorder
from replicator.core.plan import Latest
from replicator.core.records import Position
from replicator.core.replay import HoleInLog, Replay
from replicator.errors import ArchiveDamaged, ObjectMissing
from replicator.flows.fetch import Unreadable, fetch
from replicator.flows.findings import NOTHING_LOST, moments
from replicator.flows.open_archive import log, merged, pieces, snapshots, thinned_through
from replicator.flows.verify_beside import look_at_lonely, look_beside
from replicator.flows.verify_breaks import Breaks
from replicator.flows.verify_snapshots import broken_promise, compare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.core.names import PieceName, SnapshotName
    from replicator.core.objects import Segment, SnapshotFooter
    from replicator.core.plan import Span
    from replicator.flows.findings import Findings
    from replicator.flows.verify_points import Wanted
    from replicator.ports import ObjectStore

_DELETE = (
    "bring it back from a replica or an older version of the bucket; or delete it: the log up to there is "
    "whole, and restores then begin at the snapshot before it"
)
_BEFORE = "segment inside of what others hold, of a stale writer; passed over"
_BEYOND = "beyond the end of an epoch that another follows, of a stale writer; never read"
_FORGET = "if the log up to there is whole, delete it; else restore what is near it by revision"
_OFF = "none by revision; times near it may be off"


class _Spoilt(Exception):
    """A merged object can't be gone by; perhaps what it was made of can."""


class EpochWalk:
    """Folds the whole log of *span*'s epoch once; goes on after a damage at the next snapshot that is whole.

    Args:
        store: Where the archive is.
        archive_id: As in archive.json; None if that can't be read: then as the epoch's first object says.
        span: The epoch, and where the next one follows.
        wanted: The named points in it.
        findings: Where to what is found.

    Attributes:
        base_digest: Digest of the base's state; None if the base isn't there, or isn't whole.
        end_digest: Digest of the state at the end that the next epoch tells of; None if it wasn't reached.
    """

    def __init__(
        self, store: ObjectStore, archive_id: str | None, span: Span, wanted: Wanted, findings: Findings
    ) -> None:
        self._store = store
        self._archive_id = archive_id
        self._span = span
        self._wanted = wanted
        self._findings = findings
        self._number = span.epoch.epoch
        self._points: deque[SnapshotName] = deque()
        self._breaks = Breaks(self._number, findings)
        self._seen: set[MergedName] = set()
        self._thinned = 0
        self._carries = False
        self._last: tuple[SnapshotName, SnapshotFooter] | None = None
        self.base_digest: str | None = None
        self.end_digest: str | None = None

    def walk(self) -> None:
        """Read, fold and compare everything."""
        self._findings.epochs += 1
        # Before the snapshots, which a retention takes behind its record; and those before the log, which is
        # then at least as long.
        self._thinned = thinned_through(self._store, self._number)
        for point in snapshots(self._store, self._span.epoch):
            if self._span.counts(point):
                self._points.append(point)
            else:
                self._findings.note(str(point), _BEYOND)
        self._carries = not self._is_carried()
        while self._points:
            replay = self._begin(self._points.popleft())
            if replay is not None:
                self._breaks.begin(replay)
                self._follow(replay)
        if not self._carries:
            self._tell_lost_carrier()
        self._breaks.close()
        self._look_beyond()
        look_at_lonely(self._store, self._number, self._seen | self._breaks.spoilt.keys(), self._findings)

    def _begin(self, name: SnapshotName) -> Replay | None:
        """Return the fold at a snapshot to begin with; None if it is damaged."""
        try:
            snapshot = objects.decode_snapshot(self._store.get(str(name)), str(name))
            self._archive_id = self._archive_id or snapshot.header.archive_id
            replay = Replay(Latest(), self._archive_id, name, snapshot)
        except (ArchiveDamaged, ObjectMissing) as damage:
            if not (isinstance(damage, ObjectMissing) and self._is_thinned(name.revision)):
                self._findings.damage(str(name), _said(damage, str(name)), self._until_next(name))
            return None
        if name.is_base:
            self.base_digest = replay.state.digest
        else:
            self._findings.snapshots += 1
        self._wanted.reach(name.revision, name.observed_at)
        self._last = name, snapshot.footer
        return replay

    def _follow(self, replay: Replay) -> None:
        """Fold the log behind *replay* as far as it is whole, and compare each snapshot on the way."""
        first = self._breaks.known[0]
        try:
            while not self._is_folded(replay):
                pass
        except ArchiveDamaged as damage:
            if not (isinstance(damage, HoleInLog) and self._is_excused()):
                self._breaks.tell(damage)
        else:
            self._end(replay)
        known = self._breaks.known[0]
        self._carries = self._carries or first <= self._thinned <= known
        self._findings.end = Position(self._number, known)

    def _is_folded(self, replay: Replay) -> bool:
        """Fold all pieces; tell whether that was all, and not another way must be tried.

        Raises:
            ArchiveDamaged: It goes no further.
        """
        before = self._breaks.known[0]
        try:
            self._fold(replay)
        except _Spoilt:
            return False
        except ObjectMissing as missing:  # merged away meanwhile? Then the next try finds another way
            if replay.state.revision == before:
                raise ArchiveDamaged(f"{missing} is listed, and missing") from None
            return False
        return True

    def _fold(self, replay: Replay) -> None:
        if self._is_at_end(replay):
            return
        bodies = fetch(self._store, self._pieces(replay))
        try:
            for name, body in bodies:
                self._take_piece(replay, name, body)
                if self._is_at_end(replay):
                    return
        except Unreadable as damage:
            self._blame(damage.name, damage)
            if isinstance(damage.name, LogName) and damage.name.after < replay.state.revision:
                self._findings.note(str(damage.name), _BEFORE)
                raise ObjectMissing(str(damage.name)) from None  # what is asked for next lies behind it
            raise
        finally:
            bodies.close()

    def _pieces(self, replay: Replay) -> Iterator[PieceName]:
        return pieces(self._store, self._number, replay.state.revision, self._breaks.spoilt)

    def _take_piece(self, replay: Replay, name: PieceName, body: bytes) -> None:
        held, revision = dict[int, str](), replay.state.revision
        try:
            for segment in segments_from(body, name, revision):
                self._take(replay, name, segment)
                held[segment.header.revision] = segment.digest
                if self._is_at_end(replay):
                    break
        except HoleInLog:
            raise
        except ArchiveDamaged as damage:
            if isinstance(name, MergedName):
                self._breaks.spoilt[name] = damage
            if replay.state.revision == self._breaks.known[0]:  # nothing wrong is in the state
                self._blame(name, damage)
            raise
        if isinstance(name, LogName) and replay.state.revision == revision:
            self._findings.note(str(name), _BEFORE)
        elif isinstance(name, MergedName) and name not in self._seen:
            self._seen |= {name, *look_beside(self._store, name, held, self._findings)}

    def _blame(self, name: object, damage: ArchiveDamaged) -> None:
        """Go round the piece *name*, if it is a merged object."""
        if isinstance(name, MergedName):
            self._breaks.spoilt[name] = damage
            raise _Spoilt from None

    def _take(self, replay: Replay, name: PieceName, segment: Segment) -> None:
        before, observed_at, revision = replay.footer, replay.observed_at, replay.state.revision
        replay.take(name, segment)
        if replay.state.revision == revision:
            return
        for complaint in disorder(before, observed_at, segment):
            self._findings.damage(str(name), f"{name} is damaged: {complaint}", _OFF)
        self._breaks.go_on(replay)
        self._hold_to(segment)
        self._findings.segments += 1
        self._findings.revisions += len(segment.batches)
        self._wanted.reach_all(segment.batches)
        self._compare(replay)

    def _hold_to(self, segment: Segment) -> None:
        """Hold the snapshot before *segment*, if one is, to what it says of the time behind it."""
        if self._last is not None:
            name, footer = self._last
            what = broken_promise(name, footer, segment)
            if what is not None:
                self._findings.damage(str(name), what, _OFF, _FORGET)
            self._last = None

    def _is_at_end(self, replay: Replay) -> bool:
        end = self._span.end
        return end is not None and replay.state.revision >= end.position.revision

    def _compare(self, replay: Replay) -> None:
        """Compare the snapshots up to where *replay* stands with it."""
        while self._points and self._points[0].revision <= replay.state.revision:
            name = self._points.popleft()
            self._findings.snapshots += 1
            try:
                body = self._store.get(str(name))
                self._last = name, compare(body, name, self._archive_id, replay)
            except ObjectMissing:
                if not self._is_thinned(name.revision):
                    self._findings.damage(str(name), f"{name} is missing", self._until_next(name), _DELETE)
            except ArchiveDamaged as damage:
                self._findings.damage(str(name), str(damage), self._until_next(name), _DELETE)

    def _end(self, replay: Replay) -> None:
        """Look at what lies beyond the log's end: snapshots, and what the next epoch says of it."""
        end = self._span.end
        following = self._points[0].revision if self._points else end.position.revision if end else 0
        if replay.state.revision < following or self._breaks.culprit() is not None:
            if not self._is_excused():
                name = LogName(self._number, replay.state.revision)
                self._breaks.tell(
                    HoleInLog(f"{name} is missing: the history goes on to revision {following}", name.after)
                )
        elif end is not None:
            self._fit_to_next(replay)

    def _look_beyond(self) -> None:
        end = self._span.end
        if end is not None:
            for name in log(self._store, self._number, end.position.revision):
                self._findings.note(str(name), _BEYOND)
            for beyond in merged(self._store, self._number):
                if beyond.after >= end.position.revision:
                    self._findings.note(str(beyond), _BEYOND)
                    self._seen.add(beyond)

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
        self.end_digest = replay.state.digest

    def _is_excused(self) -> bool:
        """Tell whether retention took what follows; a merged object that is there isn't to be damaged."""
        return self._breaks.culprit() is None and self._is_thinned(self._breaks.known[0])

    def _is_thinned(self, revision: int) -> bool:
        """Tell whether retention may have taken what follows *revision*, perhaps only this moment."""
        if revision >= self._thinned:
            self._thinned = thinned_through(self._store, self._number)
        return revision < self._thinned

    def _is_carried(self) -> bool:
        """Tell whether history has to be whole from where retention ended on."""
        end = self._span.end
        return self._thinned > 0 and (end is None or self._thinned <= end.position.revision)

    def _tell_lost_carrier(self) -> None:
        """The snapshot that retention made history begin with is missing, and nothing leads there."""
        prefix = f"{names.snapshot_folder(self._number)}{self._thinned:020d}@"
        if any(damage.object.startswith(prefix) for damage in self._findings.damages):
            return
        what = f"the snapshot at revision {self._thinned} is missing: retention made it the first of the log"
        self._findings.damage(prefix, what, f"from revision {self._thinned} on, to the snapshot after it")

    def _until_next(self, name: SnapshotName) -> str:
        """Return the moments that begin with the snapshot *name*, and end before the next one."""
        following = self._points[0] if self._points else None
        before = (following.revision, following.observed_at) if following else None
        return moments((name.revision, name.observed_at), before, inclusive=True)


def _said(damage: Exception, name: str) -> str:
    return f"{name} is missing" if isinstance(damage, ObjectMissing) else str(damage)
