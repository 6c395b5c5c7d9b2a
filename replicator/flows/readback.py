"""Read back what was stored, so that "replicating" means "restorable"; and rehearse restores meanwhile."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.core import frame, objects
from replicator.core.names import parse_log
from replicator.core.plan import AtRevision
from replicator.errors import ArchiveDamaged, ObjectMissing, ReplicatorError, StoreUnavailable, UsageError
from replicator.flows.restore import restore
from replicator.telemetry.metrics import Silent

if TYPE_CHECKING:
    from datetime import datetime

    from structlog.typing import FilteringBoundLogger

    from replicator.core.records import Position
    from replicator.ports import Clock, ObjectStore
    from replicator.telemetry.metrics import Meter

_END_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Stored:
    """A segment or a snapshot that the store has taken.

    Attributes:
        name: Its name.
        digest: Its SHA-256, as its trailer has it.
        position: Where the log ends with it, or which place it shows.
        moment: The watermark there.
        state_digest: Digest of the state there.
    """

    name: str
    digest: str
    position: Position
    moment: datetime
    state_digest: str

    @property
    def is_segment(self) -> bool:
        """Whether it is a segment; else it is a snapshot."""
        return parse_log(self.name) is not None


@dataclass(frozen=True, slots=True)
class Restorable:
    """What was stored up to here was read back, so that a restore of it works."""

    position: Position
    moment: datetime


@dataclass(frozen=True, slots=True)
class Pace:
    """The least seconds between two objects that are read back, and about how many between two drills."""

    object_s: float = 2.0
    drill_s: float = 3600.0


class Readback:
    """Reads objects back in a thread of its own, and keeps `restorable`: how far that was fine.

    While changes are rare each object is read; when they come faster than the pace, only the newest segment
    and the newest snapshot. So there is a GET each 2 s for segments at the most, which costs $0.52 in 30 days
    at S3's prices, and one for each snapshot (and the transfer, where reading from outside the region costs).
    A drill each hour reads a snapshot and its tail, and holds a second state in memory meanwhile.

    A segment that isn't what was written breaks the log there, and a snapshot what begins with it:
    `restorable` then stands until a snapshot from there on was read back whole. The writer cuts one at once
    while `is_broken`; `damaged` has the names.

    Args:
        store: Where the objects are.
        clock: For the pace.
        log: Hears of failures, loudly.
        meter: Takes the metrics.
        pace: How often.
    """

    def __init__(
        self,
        store: ObjectStore,
        clock: Clock,
        log: FilteringBoundLogger,
        meter: Meter | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._log = log
        self._meter = meter or Silent()
        self._pace = pace or Pace()
        self.restorable: Restorable | None = None
        self.damaged: set[str] = set()
        self.is_broken = False
        self._broken_at: Position | None = None
        self._segment: Stored | None = None
        self._snapshot: Stored | None = None
        self._last: Stored | None = None
        self._changed = threading.Condition()
        self._is_ending = False
        self._drill_at = self._next_drill()
        self._thread = threading.Thread(target=self._run, name="readback", daemon=True)

    def start(self) -> None:
        """Begin to read back, in a thread of its own."""
        self._thread.start()

    def resumed(self, end: Stored) -> None:
        """Take note of a log's end that was restored from the store: it was read back just now."""
        with self._changed:
            self._last = end
            self._reach(end.position, end.moment)

    def stored(self, stored: Stored) -> None:
        """Take note of an object that was just stored; returns at once."""
        with self._changed:
            if stored.is_segment:
                self._segment = self._last = stored
            else:
                self._snapshot = stored
                self._last = self._last or stored
            self._changed.notify_all()

    def watched(self, position: Position, moment: datetime) -> None:
        """Take note that nothing more happened until *moment*, and that the checkpoint says so."""
        with self._changed:
            is_read_back = self.restorable is not None and self.restorable.position == position
            if is_read_back and not self.is_broken:
                self._reach(position, moment)

    def finish(self) -> None:
        """Read the newest objects, and end; a store that is away isn't waited for."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
        self._thread.join(_END_PATIENCE_S)

    def _run(self) -> None:
        while (due := self._await()) is not None:
            for stored in due:
                self._look_at(stored)
            if self._clock.monotonic() >= self._drill_at and not self._is_ending:
                self._drill_at = self._next_drill()
                self._drill()
            self._await_pace()

    def _await(self) -> list[Stored] | None:
        """Return what is to be read, perhaps nothing but a drill; None when all is done and we are to end."""
        with self._changed:
            while True:
                due = [stored for stored in (self._segment, self._snapshot) if stored is not None]
                left_s = self._drill_at - self._clock.monotonic()
                if due or (left_s <= 0 and not self._is_ending):
                    self._segment = self._snapshot = None
                    return sorted(due, key=lambda stored: stored.position)
                if self._is_ending:
                    return None
                self._changed.wait(left_s)

    def _await_pace(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_ending, self._pace.object_s)

    def _look_at(self, stored: Stored) -> None:
        try:
            cause = self._fault(stored) and self._fault(stored)  # the bytes may have been hurt on their way
        except StoreUnavailable:
            self._put_back(stored)
            return
        with self._changed:
            if cause:
                self._break(stored, cause)
                return
            self._meter.count("readbacks_total")
            if self._broken_at and not stored.is_segment and stored.position >= self._broken_at:
                self.is_broken, self._broken_at = False, None
            if not self.is_broken:
                self._reach(stored.position, stored.moment)

    def _fault(self, stored: Stored) -> str:
        """Return what is wrong with the object as the store gives it back; nothing if it is as written."""
        try:
            body = self._store.get(stored.name)
            if not frame.is_whole(body, stored.digest):
                return "its bytes aren't those that were stored"
            if not stored.is_segment:
                objects.inspect_snapshot(body, stored.name)
        except ObjectMissing:
            return "it is missing"
        except (ArchiveDamaged, UsageError) as damage:  # a flipped bit may name a key that nobody has
            return str(damage)
        return ""

    def _break(self, stored: Stored, cause: str) -> None:
        self._log.error("readback.failed", object=stored.name, cause=cause)
        self._meter.count("readback_failures_total")
        self.damaged.add(stored.name)
        self.is_broken = True
        self._broken_at = max(self._broken_at or stored.position, stored.position)

    def _reach(self, position: Position, moment: datetime) -> None:
        known = self.restorable
        if known is not None and (known.position, known.moment) >= (position, moment):
            return
        self.restorable = Restorable(position, moment)
        self._meter.set("restorable_revision", position.revision)
        self._meter.set("restorable_time_seconds", moment.timestamp())

    def _put_back(self, stored: Stored) -> None:
        """Try it again later, unless there is a newer one by then."""
        with self._changed:
            if self._is_ending:
                return
            if stored.is_segment:
                self._segment = self._segment or stored
            else:
                self._snapshot = self._snapshot or stored

    def _drill(self) -> None:
        """Restore what was stored last, and compare it with what the writer had there."""
        last = self._last
        if last is None:
            return
        began_s, revision = self._clock.monotonic(), last.position.revision
        try:
            restored = restore(self._store, AtRevision(revision, last.position.epoch))
            cause = "" if restored.state.digest == last.state_digest else "it gave another state"
        except StoreUnavailable:
            return
        except ReplicatorError as error:
            cause = str(error)
        self._meter.set("last_drill_time_seconds", self._clock.now().timestamp())
        self._meter.set("last_drill_success", 0 if cause else 1)
        if cause:
            self._log.error("drill.failed", revision=revision, cause=cause)
        else:
            duration_s = round(self._clock.monotonic() - began_s, 3)
            self._log.info("drill.passed", revision=revision, duration_s=duration_s)

    def _next_drill(self) -> float:
        """Replicators that were started together shall not rehearse together."""
        return self._clock.monotonic() + self._pace.drill_s * random.uniform(0.5, 1.5)
