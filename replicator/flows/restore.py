"""Rebuild the state at a target: plan by names, fetch, replay, and prove it before anyone sees it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replicator.core import objects
from replicator.core.frame import DAMAGE_HINT
from replicator.core.plan import choose_snapshot, choose_spans, is_after, late_by, tail
from replicator.core.quantities import format_time
from replicator.core.records import Position
from replicator.core.replay import Replay
from replicator.errors import ArchiveDamaged, ObjectMissing, TargetNotRestorable
from replicator.flows.fetch import fetch
from replicator.flows.open_archive import log, open_archive, snapshots

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from replicator.core.documents import Archive, Epoch
    from replicator.core.plan import Plan, Span, Target
    from replicator.core.state import State
    from replicator.flows.open_archive import Opened
    from replicator.ports import ObjectStore


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
) -> Restored:
    """Return the state at *target*.

    Args:
        store: Where the archive is.
        target: The moment that is wanted.
        on_damaged: Hears of a damaged snapshot, which is then passed over for the one before it; without
            it, damage is refused.
        allow_gap: For a target in a gap, return the last state before that.

    Raises:
        UsageError: There is no archive in *store*.
        TargetNotRestorable: The archive doesn't cover the target.
        ArchiveDamaged: What is needed for it is missing, or isn't what was written.
    """
    opened = open_archive(store)
    *newer, oldest = choose_spans(target, opened.epochs, allow_gap=allow_gap)
    if oldest.excludes(target):
        return replace(_restore(store, oldest.last(), opened, oldest, on_damaged), gap=oldest.following)
    for span in newer:
        with suppress(TargetNotRestorable):
            return _restore(store, target, opened, span, on_damaged)
    return _restore(store, target, opened, oldest, on_damaged)


def _restore(
    store: ObjectStore,
    target: Target,
    opened: Opened,
    span: Span,
    on_damaged: Callable[[ArchiveDamaged], None] | None,
) -> Restored:
    names = list(snapshots(store, span.epoch))
    plan = choose_snapshot(target, span, names)
    while (start := _start(store, target, opened.archive, plan, on_damaged)) is None:
        names.remove(plan.snapshot)
        plan = choose_snapshot(target, span, names)
    replay = _replay(store, plan, start)
    reach = _reach(opened, span, replay)
    if not replay.is_complete:
        _check_reach(target, opened, plan, replay, reach)
    window_after = replay.following.window if replay.following else None
    return Restored(
        archive=opened.archive,
        epoch=span.epoch,
        replay=replay,
        late_by=late_by(target, replay.window, window_after),
        reach=reach,
        snapshot_revision=plan.snapshot.revision,
    )


def _start(
    store: ObjectStore,
    target: Target,
    archive: Archive,
    plan: Plan,
    on_damaged: Callable[[ArchiveDamaged], None] | None,
) -> Replay | None:
    """Return the fold at the plan's snapshot; None if that is damaged and may be passed over."""
    name = str(plan.snapshot)
    try:
        snapshot = objects.decode_snapshot(store.get(name), name)
        return Replay(target, archive.archive_id, plan.snapshot, snapshot)
    except ObjectMissing:
        role = f": it is the base of epoch {plan.span.epoch.epoch}" if plan.snapshot.is_base else ""
        damage = ArchiveDamaged(f"{name} is missing{role}", hint=DAMAGE_HINT)
    except ArchiveDamaged as error:
        damage = error
    if on_damaged is None or plan.snapshot.is_base:
        raise damage
    on_damaged(damage)
    return None


def _replay(store: ObjectStore, plan: Plan, replay: Replay) -> Replay:
    """Fold the plan's segments into *replay*, until the target is met or the log ends."""
    if replay.is_complete:
        return replay
    try:
        segments = tail(plan, log(store, plan.span.epoch.epoch, plan.snapshot.revision))
        for segment, body in fetch(store, segments):
            replay.take(segment, objects.decode_segment(body, str(segment)))
            if replay.is_complete:
                break
    except ObjectMissing as missing:
        raise ArchiveDamaged(f"{missing} vanished while it was needed", hint="try again") from None
    return replay


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


def _check_reach(target: Target, opened: Opened, plan: Plan, replay: Replay, reach: Reach) -> None:
    """Raise unless the log, read to its end without meeting a batch beyond the target, covers the target."""
    end = plan.until if plan.until is not None else _promised(opened, plan)
    if replay.state.revision < end:
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
