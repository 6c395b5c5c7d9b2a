"""Keep up with an archive's newest state: one GET of the name that the next segment must have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from replicator.core import objects
from replicator.core.merged import decode_piece
from replicator.core.names import LogName, epoch_document
from replicator.core.plan import Latest
from replicator.errors import ArchiveDamaged, ObjectMissing
from replicator.flows.open_archive import pieces, read_checkpoint
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from datetime import datetime

    from replicator.core.documents import Archive
    from replicator.core.state import State
    from replicator.flows.restore import Restored
    from replicator.ports import Clock, ObjectStore

# The checkpoint tells of what the next name can't: merged segments, another epoch, a watermark.
_LOOK_EACH_S = 5.0

# Of another epoch the checkpoint tells late, or never if it is lost.
_EPOCH_EACH_S = 15.0


class Tail:
    """The newest state of the archive in *store*, proved like a restore's.

    A poll costs one GET, and others each 5 s and each 15 s (S3: about $1.30 in 30 days at a poll a second).
    LISTs are made only when the log is known to go on elsewhere: under a merged object, or in another epoch.
    """

    def __init__(self, store: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._restored: Restored | None = None
        self._known_through: datetime | None = None
        self._look_at = self._epoch_at = -math.inf

    @property
    def state(self) -> State:
        """Every key at the newest moment; call `poll` first."""
        return self._begun.state

    @property
    def archive(self) -> Archive:
        """Whose history it is."""
        return self._begun.archive

    @property
    def epoch(self) -> int:
        """The epoch that the state lies in."""
        return self._begun.epoch.epoch

    @property
    def observed_at(self) -> datetime:
        """Stamp of the state's last revision."""
        return self._begun.replay.observed_at

    @property
    def observed_through(self) -> datetime:
        """All that was committed until then is in the state."""
        known = self._known_through or self._begun.reach.observed_through
        return max(known, self._begun.replay.footer.observed_through)

    @property
    def _begun(self) -> Restored:
        if self._restored is None:
            raise RuntimeError("the tail has not been polled yet")
        return self._restored

    def poll(self) -> bool:
        """Take up what is new; tell whether the state is another one than before.

        After an ArchiveDamaged there is no state, and the next poll begins anew from a snapshot.

        Raises:
            UsageError: There is no archive, or nothing in it yet.
            StoreUnavailable: The store is away.
            ArchiveDamaged: What follows can't be replayed.
        """
        if self._restored is None:
            return self._begin()
        before = self.epoch, self.state.revision
        try:
            self._follow()
            if self._clock.monotonic() >= self._look_at:
                self._look_aside()
        except ArchiveDamaged:  # or a stale writer's stray, which a fresh plan passes over
            self._restored = None
            return self._begin()
        return (self.epoch, self.state.revision) != before

    def _begin(self) -> bool:
        self._restored, self._known_through = restore(self._store, Latest()), None
        self._look_at = self._clock.monotonic() + _LOOK_EACH_S
        self._epoch_at = self._clock.monotonic() + _EPOCH_EACH_S
        return True

    def _follow(self) -> None:
        """Fold in the segments that follow, as long as there are any."""
        while True:
            name = LogName(self.epoch, self.state.revision)
            try:
                body = self._store.get(str(name))
            except ObjectMissing:
                return
            self._begun.replay.take(name, objects.decode_segment(body, str(name)))

    def _look_aside(self) -> None:
        """Ask the checkpoint whether the log goes on where its next name doesn't say."""
        self._look_at = self._clock.monotonic() + _LOOK_EACH_S
        checkpoint = read_checkpoint(self._store)
        if checkpoint is not None:
            end = checkpoint.position.epoch, checkpoint.position.revision
            if end == (self.epoch, self.state.revision):
                self._known_through = max(checkpoint.observed_through, self.observed_through)
            elif end[0] > self.epoch:
                self._begin()
            elif end > (self.epoch, self.state.revision):
                self._catch_up()
        if self._clock.monotonic() >= self._epoch_at:
            self._epoch_at = self._clock.monotonic() + _EPOCH_EACH_S
            if self._has_next_epoch():
                self._begin()

    def _catch_up(self) -> None:
        """Fold in what follows under merged names."""
        for name in pieces(self._store, self.epoch, self.state.revision):
            try:
                body = self._store.get(str(name))
            except ObjectMissing:  # merged this moment: the next look plans anew
                return
            for segment in decode_piece(body, name):
                if segment.header.revision >= self.state.revision:
                    self._begun.replay.take(name, segment)

    def _has_next_epoch(self) -> bool:
        try:
            self._store.get(epoch_document(self.epoch + 1))
        except ObjectMissing:
            return False
        return True
