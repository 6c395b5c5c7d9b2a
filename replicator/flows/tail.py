"""Keep up with an archive's newest state: one GET of the name that the next segment must have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from replicator.core.frame import DAMAGE_HINT
from replicator.core.merged import segments_from
from replicator.core.names import LogName, epoch_document
from replicator.core.plan import Latest
from replicator.core.records import Position
from replicator.errors import ArchiveDamaged, ObjectMissing
from replicator.flows.open_archive import pieces, read_archive, read_checkpoint
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from replicator.core.documents import Archive, Checkpoint
    from replicator.core.names import PieceName
    from replicator.core.objects import Segment
    from replicator.core.state import State
    from replicator.flows.restore import Restored
    from replicator.ports import Clock, ObjectStore

# The checkpoint tells of what the next name can't: merged segments, another epoch, a watermark.
_LOOK_EACH_S = 5.0

# What a checkpoint tells late, or never: another epoch, another archive under the old name.
_SLOW_LOOK_EACH_S = 15.0

# A writer that is alive says so in the checkpoint each minute; one that hasn't for so long may have gone on
# without that, under names that were merged since.
_SILENT_S = 150.0

# A damaged archive is read anew, from a snapshot on, after so long; then after twice as long, and so on.
_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 300.0


class Tail:
    """The newest state of the archive in *store*, proved like a restore's.

    A poll costs one GET, and others each 5 s and each 15 s (S3: about $1.40 in 30 days at a poll a second).
    LISTs are made only when the log is known to go on elsewhere, under a merged object or in another epoch;
    or each 150 s in which nothing new was told, not even by the checkpoint. Only `poll` asks the store.

    Args:
        store: Where the archive is.
        clock: For the times between two looks.
        on_damaged: Hears of a damaged snapshot, which is passed over for an older one.
    """

    def __init__(
        self,
        store: ObjectStore,
        clock: Clock,
        on_damaged: Callable[[ArchiveDamaged], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_damaged = on_damaged
        self._restored: Restored | None = None
        self._news: set[bytes] | None = None
        self._known_through: datetime | None = None
        self._look_at = self._slow_look_at = -math.inf
        self._told: tuple[Position, datetime] | None = None
        self._told_at = -math.inf
        self._damage: ArchiveDamaged | None = None
        self._pause_s, self._again_at = 0.0, -math.inf

    @property
    def state(self) -> State:
        """Every key at the newest moment. It goes on with the next poll: copy what is to stay."""
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
            raise RuntimeError("there is no state: no poll has succeeded yet, or the last one failed")
        return self._restored

    @property
    def _place(self) -> Position:
        return Position(self.epoch, self.state.revision)

    def poll(self) -> bool:
        """Take up what is new; tell whether the state may be another one than before.

        After an ArchiveDamaged there is no state. The archive is then read anew from a snapshot on, at once
        and after growing pauses; polls between these raise the same error, and ask the store for nothing.

        Raises:
            UsageError: There is no archive, or nothing in it yet.
            StoreUnavailable: The store is away; the state is what it was.
            ArchiveDamaged: What follows can't be replayed.
        """
        if self._restored is None:
            self._begin()
            return True
        begun, before = self._restored, self._place
        try:
            self._follow()
            if self._clock.monotonic() >= self._look_at:
                self._look_aside()
        except ArchiveDamaged:  # or a stale writer's stray, which a fresh plan may pass over
            self._restored = None
            self._begin()
        return self._restored is not begun or self._place != before

    def take_news(self) -> set[bytes] | None:
        """Return the keys that may have changed since this was asked last; None: any key may have.

        Asked again without a poll between, it returns none.
        """
        news, self._news = self._news, set()
        return news

    def _begin(self) -> None:
        """Read the newest state from a snapshot on."""
        if self._damage is not None and self._clock.monotonic() < self._again_at:
            raise self._damage.with_traceback(None)
        try:
            self._restored = restore(self._store, Latest(), self._on_damaged)
        except ArchiveDamaged as damage:
            self._restored, self._damage = None, damage
            self._pause_s = min(2 * self._pause_s or _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
            self._again_at = self._clock.monotonic() + self._pause_s
            raise
        self._damage, self._pause_s = None, 0.0
        self._known_through, self._news = None, None
        self._note_news()
        self._look_at = self._clock.monotonic() + _LOOK_EACH_S
        self._slow_look_at = self._clock.monotonic() + _SLOW_LOOK_EACH_S

    def _follow(self) -> None:
        """Fold in the segments that follow, as long as there are any."""
        while self._fold(LogName(self.epoch, self.state.revision)):
            pass

    def _fold(self, name: PieceName) -> bool:
        """Fold in the piece *name* of the log; tell whether it is there."""
        try:
            body = self._store.get(str(name))
        except ObjectMissing:
            return False
        for segment in segments_from(body, name, self.state.revision):
            self._take(name, segment)
        return True

    def _take(self, name: PieceName, segment: Segment) -> None:
        self._begun.replay.take(name, segment)
        if self._news is not None:
            self._news.update(event.key for batch in segment.batches for event in batch.events)

    def _look_aside(self) -> None:
        """Ask whether the log goes on where its next name doesn't say."""
        now = self._clock.monotonic()
        self._look_at = now + _LOOK_EACH_S
        checkpoint = read_checkpoint(self._store)
        if checkpoint is not None:
            self._heed(checkpoint)
        self._note_news()
        if now < self._slow_look_at:
            return
        self._slow_look_at = now + _SLOW_LOOK_EACH_S
        if self._is_another_archive() or self._has_next_epoch():
            self._begin()
        elif checkpoint is None or now - self._told_at >= _SILENT_S:
            self._catch_up()
            self._told_at = now

    def _heed(self, checkpoint: Checkpoint) -> None:
        """Go where *checkpoint* says that the log has come."""
        end = checkpoint.position
        if end.epoch > self.epoch:
            self._begin()
            return
        if end > self._place:
            self._follow()  # it may have been stored since the last look
        if end > self._place:
            self._catch_up()
        if end > self._place:
            raise ArchiveDamaged(
                f"the log goes on to revision {end.revision} of epoch {end.epoch}, but nothing leads there",
                hint=DAMAGE_HINT,
            )
        if end == self._place:
            self._known_through = max(checkpoint.observed_through, self.observed_through)

    def _note_news(self) -> None:
        """Note when something was told last: a change, or that there was none."""
        told = self._place, self.observed_through
        if told != self._told:
            self._told, self._told_at = told, self._clock.monotonic()

    def _catch_up(self) -> None:
        """Fold in what follows under merged names."""
        for name in pieces(self._store, self.epoch, self.state.revision):
            if not self._fold(name):  # merged this moment: the next look plans anew
                return

    def _is_another_archive(self) -> bool:
        archive = read_archive(self._store)
        return archive is not None and archive.archive_id != self.archive.archive_id

    def _has_next_epoch(self) -> bool:
        try:
            self._store.get(epoch_document(self.epoch + 1))
        except ObjectMissing:
            return False
        return True
