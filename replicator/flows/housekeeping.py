"""Merging and retention beside a running capture: in the background, seldom, and never in its way."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from replicator.errors import ReplicatorError
from replicator.flows.merge import Merger, MergeRules
from replicator.flows.prune import plan_pruning, prune

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from replicator.core.retention import RetentionRule
    from replicator.ports import Clock, ObjectStore

# A merged object gathers ten minutes at a second's flush interval, and isn't worth it for less than this.
_LEAST = 16

_END_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class HousekeepingRules:
    """How often a running capture cleans up behind itself.

    Attributes:
        merge: When segments are merged, and when they go.
        merge_each: The least time between two passes of merging.
        retention: What is thinned; None for nothing, ever.
        prune_each: The least time between two passes of retention.
    """

    merge: MergeRules = field(default_factory=lambda: MergeRules(least=_LEAST))
    merge_each: timedelta = timedelta(minutes=10)
    retention: RetentionRule | None = None
    prune_each: timedelta = timedelta(days=1)


class Housekeeping:
    """Merges and thins one archive, in one background thread at a time; owned by the thread that calls it.

    What it costs on S3: a pass of merging has two LISTs, and one more for each thousand names in ``log/``
    (an hour's worth, while these wait for their grace time) or ``merged/``; at most each ten minutes, and
    only if snapshots were cut since the last one: for a segment a second about 26,000 LISTs a month, $0.13.
    What is merged is read once and read back, and a merged object once more before its sources go: about
    three GETs a segment, $1 a month at a segment a second. Retention has four LISTs for each epoch a day.
    """

    def __init__(
        self, store: ObjectStore, rules: HousekeepingRules, clock: Clock, log: FilteringBoundLogger
    ) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        self._log = log
        self._merger = Merger(store, rules.merge, clock)
        self._merge_at = clock.monotonic()
        # Not at once: a process that is started again and again would prune as often.
        self._prune_at = clock.monotonic() + rules.merge_each.total_seconds()
        self._under_way: threading.Thread | None = None
        self._seen = -1
        self._is_waiting = False

    def consider(self, epoch: int, stored_revision: int, snapshot_revision: int) -> None:
        """Begin a pass in the background if one is due and none is under way. It takes no time itself.

        Args:
            epoch: The open epoch.
            stored_revision: The last revision that the store has in its log; a spool may be ahead of it.
            snapshot_revision: Revision of the newest snapshot. What lies behind it is left alone.
        """
        if self._under_way is not None and self._under_way.is_alive():
            return
        now, through = self._clock.monotonic(), min(stored_revision, snapshot_revision)
        is_merging = now >= self._merge_at and (through > self._seen or self._is_waiting)
        is_pruning = self._rules.retention is not None and now >= self._prune_at
        if is_merging or is_pruning:
            self._under_way = threading.Thread(
                target=self._work,
                args=(epoch if is_merging else None, through, is_pruning),
                name="housekeeping",
                daemon=True,
            )
            self._under_way.start()

    def finish(self) -> None:
        """Wait a little for the pass under way, if there is one. It may be cut off anywhere."""
        if self._under_way is not None:
            self._under_way.join(_END_PATIENCE_S)

    def _work(self, epoch: int | None, through: int, is_pruning: bool) -> None:  # noqa: FBT001 (a thread's)
        """Do what is due. A failure is told, and tried again when the next pass is due."""
        now = self._clock.monotonic()
        try:
            if epoch is not None:
                self._merge_at = now + self._rules.merge_each.total_seconds()
                self._merge(epoch, through)
            if is_pruning:
                self._prune_at = now + self._rules.prune_each.total_seconds()
                self._prune()
        except ReplicatorError as error:
            self._log.warning("housekeeping.missed", cause=str(error))

    def _merge(self, epoch: int, through: int) -> None:
        done = self._merger.tidy(epoch, through)
        self._seen, self._is_waiting = through, done.waiting > 0
        for name in done.made:
            self._log.info("segments.merged", object=name)
        for cause in done.damaged:
            self._log.warning("housekeeping.missed", cause=cause)
        if done.deleted:
            self._log.info("sources.deleted", objects=len(done.deleted))

    def _prune(self) -> None:
        rule = self._rules.retention
        if rule is None:
            return
        pruning = plan_pruning(self._store, rule, self._clock)
        for error in pruning.damaged:
            self._log.error("snapshot.damaged", cause=str(error))
        if pruning.doomed:
            deleted = prune(self._store, rule, self._clock, pruning)
            self._log.info("archive.thinned", objects=len(deleted))
