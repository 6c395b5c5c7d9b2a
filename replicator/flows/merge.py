"""Merge small segments into large objects, and delete them once nobody needs them any more.

Nothing is deleted that a merged object wasn't proved to hold: it is compared with its sources before it is
stored, read back when it is, and read once more, a grace time later, before the sources go. Whatever is
interrupted is taken up by the next call; two processes may do it at once.
"""

from __future__ import annotations

from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from replicator.core.frame import DAMAGE_HINT
from replicator.core.merged import decode_piece, encode_merged, merged_at, merged_name, segments_of
from replicator.core.merging import Limits, closed, next_run
from replicator.core.names import LogName, MergedName
from replicator.core.pieces import path
from replicator.core.records import size_bytes
from replicator.errors import ArchiveDamaged, ObjectExists, ObjectMissing
from replicator.flows.fetch import fetch
from replicator.flows.open_archive import log, merged
from replicator.flows.progress import UNWATCHED, stepping

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from replicator.core.names import PieceName
    from replicator.core.objects import Segment
    from replicator.flows.progress import Progress
    from replicator.ports import Clock, ObjectStore


@dataclass(frozen=True, slots=True)
class MergeRules:
    """When segments are merged, and when they go.

    Attributes:
        least: How many small segments must have gathered.
        grace: How long they stay beside the object that holds them, for readers who have planned with them.
        limits: How large a merged object becomes.
    """

    least: int = 1
    grace: timedelta = timedelta(hours=1)
    limits: Limits = field(default_factory=Limits)


@dataclass(slots=True)
class Merged:
    """What was done: names of objects.

    Attributes:
        made: Merged objects that were made.
        deleted: What they hold and was deleted.
        waiting: How many objects wait for the end of their grace time.
        damaged: What was wrong with merged objects that were deleted, since their sources are still there.
    """

    made: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    waiting: int = 0
    damaged: list[str] = field(default_factory=list)


class Merger:
    """Merges the logs of one archive; for one thread. It remembers what needn't be looked at again.

    A pass over an epoch costs two LISTs (and one more for each thousand names), reads what is merged, and
    again what the made objects hold.
    """

    def __init__(self, store: ObjectStore, rules: MergeRules, clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        self._writer = uuid4().hex
        self._barred: set[PieceName] = set()
        self._made_at: dict[MergedName, datetime] = {}

    def tidy(self, epoch: int, through: int, progress: Progress = UNWATCHED) -> Merged:
        """Merge what of *epoch*'s log lies before revision *through*, and delete what was merged before.

        Args:
            epoch: The epoch's number.
            through: The newest snapshot's revision: the log behind that stays as it is. If another epoch
                follows, the last revision that this one counts.
            progress: Hears of each object that is merged or deleted.

        Raises:
            ArchiveDamaged: A piece of the log is, and nothing was made of it.
            StoreUnavailable: What was done until then stays.
        """
        done = Merged()
        spans, segments = list(merged(self._store, epoch)), list(log(self._store, epoch))
        while True:
            pieces = closed(list(path(spans, segments, 0)), through)
            rules = self._rules
            run = next_run(pieces, rules.least, rules.limits.segments, self._barred)
            if not run:
                break
            progress.expect(len(pieces))
            made = self._merge(run)
            progress.step(len(run))
            if made is not None:
                spans.append(made)
                done.made.append(str(made))
        self._clear(spans, segments, done, progress)
        return done

    def _merge(self, run: list[PieceName]) -> MergedName | None:
        """Make one object of the first pieces of *run* that fit together, at least two; None if none do."""
        segments = self._gather(run)
        if not segments:
            return None
        name, now = merged_name(segments), self._clock.now()
        body = encode_merged(segments, self._writer, now)
        _compare(segments_of(body, name), segments, str(name))
        with suppress(ObjectExists):  # another was quicker: as good as ours if it holds the same
            self._store.create(str(name), body)
        self._read_back(name, segments, run)
        self._made_at.pop(name, None)
        return name

    def _gather(self, run: list[PieceName]) -> list[Segment]:
        """Return the segments of the first pieces of *run* that fit into one object; bar what doesn't fit."""
        bodies, barred = fetch(self._store, run), len(self._barred)
        taken: list[Segment] = []
        held: list[PieceName] = []
        text_bytes = 0
        try:
            for name, body in bodies:
                segments = _fresh(decode_piece(body, name), taken, name)
                size = sum(size_bytes(batch) for segment in segments for batch in segment.batches)
                if not self._fits(taken, segments, text_bytes + size):
                    if len(held) > 1:
                        return taken
                    self._barred.update(held)
                    taken, held, text_bytes = [], [], 0
                    segments = list(decode_piece(body, name))
                taken += segments
                held.append(name)
                text_bytes += size
        except ObjectMissing:  # another has merged it: what we have until there is whole
            self._barred.update(run)
        finally:
            bodies.close()
        if len(held) > 1:
            return taken
        if len(self._barred) == barred:  # else the next run is another one, and may have a use for it
            self._barred.update(held)
        return []

    def _fits(self, taken: list[Segment], segments: list[Segment], text_bytes: int) -> bool:
        if not taken or not segments:
            return True
        limits = self._rules.limits
        is_next = segments[0].header.revision == taken[-1].footer.last_revision
        count = len(taken) + len(segments)
        return is_next and count <= limits.segments and text_bytes <= limits.text_bytes

    def _read_back(self, name: MergedName, segments: list[Segment], run: list[PieceName]) -> None:
        """Compare what the store gives back with *segments*; it mustn't stand in the way of what it isn't."""
        try:
            # The bytes may have been hurt on their way: they are read once more.
            with suppress(ArchiveDamaged):
                return self._prove(name, segments)
            self._prove(name, segments)
        except ObjectMissing:  # another has merged it further by now
            raise ArchiveDamaged(f"{name} vanished while it was read back", hint="try again") from None
        except ArchiveDamaged:
            there = {*merged(self._store, name.epoch), *log(self._store, name.epoch)}
            if there.issuperset(run):
                self._store.delete(str(name))
            raise

    def _prove(self, name: MergedName, segments: list[Segment]) -> None:
        _compare(segments_of(self._store.get(str(name)), name), segments, str(name))

    def _clear(
        self, spans: list[MergedName], segments: list[LogName], done: Merged, progress: Progress
    ) -> None:
        """Delete what merged objects on the path hold, if their grace time is over and they are whole."""
        holders = [piece for piece in path(spans, segments, 0) if isinstance(piece, MergedName)]
        for holder, held in _held(holders, [*spans, *segments]).items():
            try:
                is_due = self._is_due(holder)
            except ArchiveDamaged as damage:
                self._drop(holder, spans, segments, damage)
                done.damaged.append(str(damage))
                continue
            if not is_due:
                done.waiting += len(held)
                continue
            progress.expect(len(held))
            for name in stepping(held, progress):
                self._store.delete(str(name))
                done.deleted.append(str(name))

    def _is_due(self, holder: MergedName) -> bool:
        """Tell whether *holder* is old enough, and prove it anew if so."""
        if holder in self._made_at and not self._is_over(self._made_at[holder]):
            return False
        try:
            body = self._store.get(str(holder))
        except ObjectMissing:  # another has merged it further
            return False
        self._made_at[holder] = merged_at(body, holder)
        if not self._is_over(self._made_at[holder]):
            return False
        for _ in segments_of(body, holder):
            pass
        return True

    def _drop(
        self,
        holder: MergedName,
        spans: Sequence[MergedName],
        segments: Sequence[LogName],
        damage: ArchiveDamaged,
    ) -> None:
        """Delete the damaged *holder* if all that it should hold is there without it, else raise *damage*."""
        others = [span for span in spans if span != holder]
        rest = [name for name in path(others, segments, holder.after) if name.after < holder.last]
        position = holder.after
        bodies = fetch(self._store, rest)
        try:
            for name, body in bodies:
                for segment in segments_of(body, name):
                    if segment.header.revision == position:
                        position = segment.footer.last_revision
        except (ArchiveDamaged, ObjectMissing):
            raise damage from None
        finally:
            bodies.close()
        if position < holder.last:
            raise damage
        if self._is_spoilt(holder):
            self._store.delete(str(holder))

    def _is_spoilt(self, holder: MergedName) -> bool:
        """Tell whether *holder* is damaged where it lies, and not on its way to us.

        Another merger may have read it well, and be deleting what it holds.
        """
        try:
            for _ in segments_of(self._store.get(str(holder)), holder):
                pass
        except ObjectMissing:
            return False
        except ArchiveDamaged:
            return True
        return False

    def _is_over(self, made_at: datetime) -> bool:
        return self._clock.now() - made_at >= self._rules.grace


def _held(holders: Sequence[MergedName], names: Iterable[PieceName]) -> dict[MergedName, list[PieceName]]:
    """Return which of *names* each of *holders* (in order) holds, or has a stale writer put among those."""
    starts = [holder.after for holder in holders]
    held: dict[MergedName, list[PieceName]] = {}
    for name in names:
        place = bisect_right(starts, name.after) - 1
        last = name.last if isinstance(name, MergedName) else name.after + 1
        if place >= 0 and name != holders[place] and last <= holders[place].last:
            held.setdefault(holders[place], []).append(name)
    return held


def _fresh(segments: Iterable[Segment], taken: list[Segment], name: PieceName) -> list[Segment]:
    """Return those of *segments*, which are of the piece *name*, that lead on from those *taken*.

    Those that start before the last one's end are passed over: they are there already, or a stale writer's.

    Raises:
        ArchiveDamaged: One isn't what its name says, or doesn't follow the one before it.
    """
    fresh: list[Segment] = []
    before = taken[-1] if taken else None
    for segment in segments:
        header = segment.header
        if isinstance(name, LogName) and (header.epoch, header.revision) != name:
            raise ArchiveDamaged(f"{name} holds another object", hint=DAMAGE_HINT)
        position = before.footer.last_revision if before else header.revision
        if header.revision < position:
            continue
        if before and header.revision == position and segment.footer.previous != before.digest:
            raise ArchiveDamaged(
                f"{name} follows another segment than the one before it: the hash chain is broken",
                hint=DAMAGE_HINT,
            )
        fresh.append(segment)
        before = segment
    return fresh


def _compare(found: Iterator[Segment], expected: list[Segment], name: str) -> None:
    """Raise unless *found* are the very segments *expected*."""
    try:
        is_same = all(one == other for one, other in zip(found, expected, strict=True))
    except ValueError:
        is_same = False
    if not is_same:
        raise ArchiveDamaged(f"{name} doesn't give back what was merged", hint="try again")
