"""A restore's fold under way: a snapshot, then segment upon segment, each proved before it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.core.frame import DAMAGE_HINT
from replicator.core.names import LogName
from replicator.core.plan import Latest, is_after, is_before
from replicator.core.records import size_bytes
from replicator.core.state import replay
from replicator.errors import ArchiveDamaged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replicator.core.names import PieceName, SnapshotName
    from replicator.core.objects import Header, Segment, SegmentFooter, Snapshot, SnapshotFooter
    from replicator.core.plan import Target
    from replicator.core.records import Batch


class HoleInLog(ArchiveDamaged):
    """A piece of the log isn't there, though later ones are: what follows *revision*."""

    def __init__(self, message: str, revision: int) -> None:
        super().__init__(message, hint=DAMAGE_HINT)
        self.revision = revision


class Replay:
    """The state at a target as far as it has been read.

    Attributes:
        state: The fold up to now; never beyond the target.
        observed_at: Stamp of the last revision in it.
        window: Where that revision's commit must lie, if it arrived late.
        following: The first batch beyond the target, once it was met: the target is then reached for sure.
        footer: Footer of the last object that was folded in whole.
        tail_bytes: Size of all batches that were folded in.
        anchor: SHA-256 that the next segment must name as its previous.
    """

    def __init__(self, target: Target, archive_id: str, name: SnapshotName, snapshot: Snapshot) -> None:
        self._target = target
        self._archive_id = archive_id
        self._epoch = name.epoch
        self._belongs(snapshot.header, name, name.revision)
        self.state = snapshot.state
        self.observed_at = name.observed_at
        self.window = snapshot.footer.window
        self.following: Batch | None = None
        self.footer: SegmentFooter | SnapshotFooter = snapshot.footer
        self.tail_bytes = 0
        self.anchor = snapshot.footer.anchor(snapshot.digest)
        self._strays: set[tuple[int, str]] = set()

    @property
    def is_complete(self) -> bool:
        """Whether nothing that follows in the log can belong to the target."""
        known = self.footer.through_revision, self.footer.observed_through
        is_covered = not isinstance(self._target, Latest) and not is_after(self._target, *known)
        return self.following is not None or is_covered

    def pass_over(self, strays: Iterable[tuple[int, str]]) -> None:
        """Take note of strays by where each ends, and its SHA-256: what follows one is one too."""
        self._strays.update(strays)

    def take(self, name: PieceName, segment: Segment) -> None:
        """Fold in what of *segment*, one of the piece *name*, lies at or before the target.

        Nothing, if the state is complete, or if the segment starts before it: it was folded in already, or is
        a stale writer's.

        Raises:
            HoleInLog: The segment starts beyond the state.
            ArchiveDamaged: It isn't the next one of this history, or doesn't prove itself.
        """
        if self.is_complete:
            return
        after = name.after if isinstance(name, LogName) else segment.header.revision
        self._belongs(segment.header, name, after)
        if self._passes_over(after, segment):
            return
        self._continues(name, after, segment)
        inside = [
            batch
            for batch in segment.batches
            if not is_before(self._target, batch.revision, batch.observed_at)
        ]
        beyond = segment.batches[len(inside) :]
        for batch in inside:
            self.state.apply(batch)
        self.tail_bytes += sum(map(size_bytes, inside))
        if inside:
            self.observed_at, self.window = inside[-1].observed_at, inside[-1].window
        self._prove(name, segment, beyond)
        if beyond:
            self.following = beyond[0]
        else:
            self.footer, self.anchor = segment.footer, segment.digest

    def _passes_over(self, after: int, segment: Segment) -> bool:
        """Tell whether *segment* is behind us, or goes on from a stale writer's that is; note its end."""
        state = self.state.revision
        if after == state or (after > state and (after, segment.footer.previous) not in self._strays):
            return False
        self._strays.add((segment.footer.last_revision, segment.digest))
        return True

    def _continues(self, name: PieceName, after: int, segment: Segment) -> None:
        if after != self.state.revision:
            raise HoleInLog(
                f"the segment after revision {self.state.revision} of epoch {self._epoch} is missing: "
                f"the next one is {name}",
                self.state.revision,
            )
        if segment.footer.previous != self.anchor:
            raise ArchiveDamaged(
                f"{name} follows another segment than the one before it: the hash chain is broken",
                hint=DAMAGE_HINT,
            )

    def _belongs(self, header: Header, name: PieceName | SnapshotName, revision: int) -> None:
        """An object that was put under another's name is whole, and wrong."""
        if (header.archive_id, header.epoch, header.revision) != (self._archive_id, self._epoch, revision):
            raise ArchiveDamaged(
                f"{name} holds another object: revision {header.revision} of epoch {header.epoch} "
                f"of archive {header.archive_id}",
                hint=DAMAGE_HINT,
            )

    def _prove(self, name: PieceName, segment: Segment, beyond: tuple[Batch, ...]) -> None:
        """Compare the digest at the segment's end, also where the target lies within."""
        proof = replay(self.state, beyond) if beyond else self.state
        if proof.digest != segment.footer.state_digest:
            raise ArchiveDamaged(
                f"replaying {name} doesn't give the state that its writer had: the digests differ",
                hint=DAMAGE_HINT,
            )
