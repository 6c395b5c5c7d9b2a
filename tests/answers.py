"""What restores of a written archive must answer: every target that there is, and what is known of it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from archives import TICK, Known, Scribe

from replicator.core.plan import AtRevision, AtTime, Latest, Target
from replicator.errors import TargetNotRestorable
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from replicator.ports import ObjectStore


def answer(known: list[Known], target: Target) -> tuple[int, int] | None:
    """Return the epoch and the revision that *target* means; None if nobody knows."""
    match target:
        case AtRevision(revision):
            for epoch in reversed(known):
                if epoch.stamps[0][0] <= revision <= epoch.through.revision:
                    return epoch.number, revision
        case AtTime(moment, exclusive):
            find = bisect_left if exclusive else bisect_right
            for epoch in reversed(known):
                place = find([stamp for _, stamp in epoch.stamps], moment)
                if place:
                    return (
                        (epoch.number, epoch.stamps[place - 1][0]) if moment <= epoch.through.moment else None
                    )
        case Latest():
            return known[-1].number, known[-1].stamps[-1][0]
    return None


def targets(known: list[Known]) -> list[Target]:
    """Return every revision, and every moment that is or borders on one that matters."""
    moments = {stamp for epoch in known for _, stamp in [*epoch.stamps, (0, epoch.through.moment)]}
    near = {moment + offset for moment in moments for offset in (-TICK, 0 * TICK, TICK)}
    revisions = range(max(max(epoch.states) for epoch in known) + 3)
    return [
        Latest(),
        *map(AtRevision, revisions),
        *(AtTime(moment, exclusive) for moment in sorted(near) for exclusive in (False, True)),
    ]


def expect(scribe: Scribe, target: Target) -> None:
    """Check that restoring *target* gives what etcd held, or says that nobody knows."""
    known = answer(scribe.known, target)
    if known is None:
        with pytest.raises(TargetNotRestorable) as caught:
            restore(scribe.store, target)
        assert caught.value.hint
        return
    restored = restore(scribe.store, target)
    number, revision = known
    held = scribe.known[number - 1].states[revision]
    assert sorted(held.items()) == list(restored.state.items())
    assert number == restored.epoch.epoch
    assert restored.state.revision <= revision <= restored.reach.through_revision or restored.replay.following
    assert timedelta(0) == restored.late_by


Answers = dict[str, tuple[object, ...] | None]


def answers(store: ObjectStore, wanted: list[Target]) -> Answers:
    """Return what restoring each target gives, all of it that must never change; None for a refusal."""
    return {str(target): _answered(store, target) for target in wanted}


def _answered(store: ObjectStore, target: Target) -> tuple[object, ...] | None:
    try:
        restored = restore(store, target)
    except TargetNotRestorable:
        return None
    replay = restored.replay
    found = list(restored.state.items()), restored.state.revision, replay.observed_at, replay.window
    return (*found, restored.late_by, replay.anchor, restored.epoch)
