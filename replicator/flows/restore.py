"""Rebuild the state at a target: plan by names, fetch, replay, and prove it before anyone sees it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from replicator.core import objects
from replicator.core.frame import DAMAGE_HINT
from replicator.core.merged import segments_from
from replicator.core.names import MergedName
from replicator.core.plan import Thinned, choose_snapshot, choose_spans, is_after, late_by, tail, thinned
from replicator.core.quantities import format_time
from replicator.core.records import Position
from replicator.core.replay import HoleInLog, Replay
from replicator.errors import ArchiveDamaged, ObjectMissing, TargetNotRestorable
from replicator.flows.fetch import Unreadable, fetch
from replicator.flows.open_archive import log, open_archive, pieces, snapshots, thinned_through
from replicator.flows.progress import UNWATCHED, stepping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, timedelta

    from replicator.core.documents import Archive, Epoch
    from replicator.core.plan import Plan, Span, Target
    from replicator.core.state import State
    from replicator.flows.open_archive import Opened
    from replicator.flows.progress import Progress
    from replicator.ports import ObjectStore


# How often a restore is planned, while merging or retention take away what it was going to read.
_PLANS = 3


@dataclass(frozen=True, slots=True)
class Reach:
    """How far an epoch is known: through which of etcd's revisions, and until when nothing is missing."""

    through_revision: int
    observed_through: datetime


@dataclass(frozen=True, slots=True)
class Restored:
    """The state at a target, and what is known of it.

    Attributes:
        archive: Whose history it is.
        epoch: The epoch that the target lies in.
        replay: The fold that gave it: its state was proved against the writer's digest.
        late_by: By how much the answer to the target may be off in time; zero if all was seen live.
        reach: How far the epoch is known, as far as was read.
        snapshot_revision: Where the fold began.
        gap: The epoch that follows the gap, if the target lies in one: this is then the last state before.
    """

    archive: Archive
    epoch: Epoch
    replay: Replay
    late_by: timedelta
    reach: Reach
    snapshot_revision: int
    gap: Epoch | None = None

    @property
    def state(self) -> State:
        """Every key at the target."""
        return self.replay.state


def restore(
    store: ObjectStore,
    target: Target,
    on_damaged: Callable[[ArchiveDamaged], None] | None = None,
    *,
    allow_gap: bool = False,
    progress: Progress = UNWATCHED,
) -> Restored:
    """Return the state at *target*.

    Args:
        store: Where the archive is.
        target: The moment that is wanted.
        on_damaged: Hears of a damaged snapshot, which is then passed over for the one before it; without
            it, damage is refused.
        allow_gap: For a target in a gap, return the last state before that.
        progress: Hears of each object of the log that is replayed.

    Raises:
        UsageError: There is no archive in *store*.
        TargetNotRestorable: The archive doesn't cover the target.
        ArchiveDamaged: What is needed for it is missing, or isn't what was written.
    """
    opened = open_archive(store)
    *newer, oldest = choose_spans(target, opened.epochs, allow_gap=allow_gap)
    source = _Source(store, opened, oldest, on_damaged, progress)
    if oldest.excludes(target):
        return replace(_restore(source, oldest.last()), gap=oldest.following)
    for span in newer:
        try:
            return _restore(_Source(store, opened, span, on_damaged, progress), target)
        except Thinned:  # it did know the target: an older epoch's answer would be another one
            raise
        except TargetNotRestorable:
            continue
    return _restore(source, target)


@dataclass(frozen=True, slots=True)
class _Source:
    """What a restore reads from: one epoch of an opened archive, without merged objects found *spoilt*.

    *strays* are segments of stale writers that a snapshot lies within: their ends, and their SHA-256.
    """

    store: ObjectStore
    opened: Opened
    span: Span
    on_damaged: Callable[[ArchiveDamaged], None] | None
    progress: Progress
    spoilt: set[MergedName] = field(default_factory=set)
    strays: set[tuple[int, str]] = field(default_factory=set)

    @property
    def number(self) -> int:
        """The epoch's."""
        return self.span.epoch.epoch


class _Vanished(Exception):
    """The piece that starts after *revision* was listed, and isn't there any more."""

    def __init__(self, name: str, revision: int) -> None:
        super().__init__(name)
        self.revision = revision


class _Spoilt(Exception):
    """The merged object *name* isn't what was written; what it was made of may still be there."""

    def __init__(self, name: MergedName, damage: ArchiveDamaged) -> None:
        super().__init__(str(name))
        self.name = name
        self.damage = damage


def _restore(source: _Source, target: Target) -> Restored:
    """Restore *target*, and plan anew if what was planned with is merged or thinned meanwhile, or spoilt."""
    known = source.span.epoch.base
    damage: ArchiveDamaged | None = None
    for _ in range(_PLANS):
        try:
            return _attempt(source, target, known)
        except _Spoilt as spoilt:
            source.spoilt.add(spoilt.name)
            damage = damage or spoilt.damage
            known = max(known, spoilt.name.last)
        except HoleInLog as hole:
            last: ArchiveDamaged = hole
            source.strays.update(_strays_across(source, hole.revision))
        except _Vanished as vanished:
            last = ArchiveDamaged(f"{vanished} vanished while it was needed", hint="try again")
            known = max(known, vanished.revision + 1)
        except (ArchiveDamaged, Thinned) as error:
            raise damage or error from None
    raise damage or last


def _attempt(source: _Source, target: Target, known: int) -> Restored:
    """Restore *target*; a log that ends before revision *known* is damaged: more was seen of it."""
    names = list(snapshots(source.store, source.span.epoch))
    plan = choose_snapshot(target, source.span, names)
    while (start := _start(source, target, plan, is_first=plan.snapshot == names[0])) is None:
        names.remove(plan.snapshot)
        plan = choose_snapshot(target, source.span, names)
    start.pass_over(source.strays)
    replay = _replay(source, target, plan, start)
    reach = _reach(source.opened, source.span, replay)
    if not replay.is_complete:
        _check_reach(source, target, plan, replay, reach, known)
    window_after = replay.following.window if replay.following else None
    return Restored(
        archive=source.opened.archive,
        epoch=source.span.epoch,
        replay=replay,
        late_by=late_by(target, replay.window, window_after),
        reach=reach,
        snapshot_revision=plan.snapshot.revision,
    )


def _strays_across(source: _Source, revision: int) -> Iterator[tuple[int, str]]:
    """Yield the segments that start before *revision*, where one of the log ends, and reach beyond it."""
    for name in log(source.store, source.number):
        if name.after >= revision:
            return
        try:
            segment = objects.decode_segment(source.store.get(str(name)), str(name))
        except (ObjectMissing, ArchiveDamaged):
            continue
        if segment.footer.last_revision > revision:
            yield segment.footer.last_revision, segment.digest


def _start(source: _Source, target: Target, plan: Plan, *, is_first: bool) -> Replay | None:
    """Return the fold at the plan's snapshot; None if that is damaged and may be passed over."""
    name = str(plan.snapshot)
    try:
        snapshot = objects.decode_snapshot(source.store.get(name), name)
        return Replay(target, source.opened.archive.archive_id, plan.snapshot, snapshot)
    except ObjectMissing:
        is_thinned = thinned_through(source.store, source.number) > plan.snapshot.revision
        if is_thinned or not plan.snapshot.is_base:
            raise _Vanished(name, plan.snapshot.revision - 1) from None
        damage = ArchiveDamaged(
            f"{name} is missing: it is the base of epoch {source.number}", hint=DAMAGE_HINT
        )
    except ArchiveDamaged as error:
        damage = error
    if source.on_damaged is None or is_first:
        raise damage
    source.on_damaged(damage)
    return None


def _replay(source: _Source, target: Target, plan: Plan, replay: Replay) -> Replay:
    """Fold the plan's pieces into *replay*, until the target is met or the log ends."""
    if replay.is_complete:
        return replay
    planned = list(tail(plan, pieces(source.store, source.number, plan.snapshot.revision, source.spoilt)))
    source.progress.expect(len(planned))
    fetched = fetch(source.store, planned)
    try:
        for name, body in stepping(fetched, source.progress):
            for segment in segments_from(body, name, replay.state.revision):
                replay.take(name, segment)
                if replay.is_complete:
                    return replay
    except ObjectMissing as missing:
        raise _Vanished(str(missing), replay.state.revision) from None
    except HoleInLog:
        _check_thinned(source, target, plan, replay)
        raise
    except ArchiveDamaged as damage:
        bad = damage.name if isinstance(damage, Unreadable) else name
        if isinstance(bad, MergedName):
            raise _Spoilt(bad, damage) from None
        raise
    finally:
        fetched.close()
    return replay


def _check_thinned(source: _Source, target: Target, plan: Plan, replay: Replay) -> None:
    """Raise Thinned if retention took what *replay* lacks."""
    state = replay.state.revision
    if state < thinned_through(source.store, source.number):
        moment = max(replay.observed_at, replay.footer.observed_through)
        raise thinned(target, (state, moment), plan.following)


def _reach(opened: Opened, span: Span, replay: Replay) -> Reach:
    """Return how far the epoch is known, as far as was read."""
    revision = max(replay.state.revision, replay.footer.through_revision)
    moment = max(replay.observed_at, replay.footer.observed_through)
    if span.end is not None and span.end.position.revision == replay.state.revision:
        return Reach(span.end.through_revision, max(moment, span.end.observed_through))
    hint = opened.checkpoint
    if hint is not None and hint.position == Position(span.epoch.epoch, replay.state.revision):
        return Reach(max(revision, hint.through_revision), max(moment, hint.observed_through))
    return Reach(revision, moment)


def _check_reach(
    source: _Source, target: Target, plan: Plan, replay: Replay, reach: Reach, known: int
) -> None:
    """Raise unless the log, read to its end without meeting a batch beyond the target, covers the target."""
    end = plan.until if plan.until is not None else max(known, _promised(source.opened, plan))
    if replay.state.revision < end:
        _check_thinned(source, target, plan, replay)
        raise ArchiveDamaged(
            f"the log of epoch {plan.span.epoch.epoch} ends at revision {replay.state.revision}, "
            f"but revision {end} was recorded: the segments between are missing",
            hint="bring them back from a replica or an older version of the bucket; "
            f"or restore what is there with --revision {replay.state.revision}",
        )
    if is_after(target, reach.through_revision, reach.observed_through):
        raise TargetNotRestorable(
            f"{target} lies after the watermark: nothing is known yet of what happened there",
            hint=f"the archive is known through revision {reach.through_revision} and "
            f"{format_time(reach.observed_through)}; or say --latest for its last revision",
        )


def _promised(opened: Opened, plan: Plan) -> int:
    """Return the revision that the writer's last word promises for the plan's epoch."""
    hint = opened.checkpoint
    if hint is None or hint.position.epoch != plan.span.epoch.epoch:
        return plan.span.epoch.base
    return hint.position.revision
