"""Several writers, failing machines and a failing store, in every order that a seed can think of.

`SIMULATION_SEEDS=1-10000 pytest tests/simulation` runs more; a failure names its seed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from memory_store import MemoryStore
from simulation.kernel import simulated
from simulation.world import MODULES, World

from replicator.core import objects
from replicator.core.merged import decode_piece
from replicator.core.plan import AtRevision, AtTime, Latest
from replicator.core.records import Position
from replicator.errors import SourceUnavailable, StoreUnavailable
from replicator.flows.open_archive import open_archive, pieces
from replicator.flows.restore import restore
from replicator.flows.verify_full import verify_full

if TYPE_CHECKING:
    from replicator.core.state import State

FIRST, _, LAST = os.environ.get("SIMULATION_SEEDS", "1-150").partition("-")
SEEDS = range(int(FIRST), int(LAST or FIRST) + 1)
CHUNK = 25
STEPS = 1500
PATIENCE = 40_000


@pytest.mark.parametrize("first", SEEDS[::CHUNK])
def test_whatever_befalls_the_writers_the_archive_is_one_true_history(first) -> None:
    for seed in range(first, min(first + CHUNK, SEEDS[-1] + 1)):
        world = World(seed)
        try:
            played(world)
            judge(world)
        except BaseException as failure:
            raise AssertionError(f"seed {seed}: {failure!r} after {world.faults}") from failure


def test_a_schedule_is_its_seed() -> None:
    one, two = World(7), World(7)
    played(one)
    played(two)
    assert [name for name in one.objects if name[0] != "p"] == [
        name for name in two.objects if name[0] != "p"
    ]
    assert one.faults == two.faults


def played(world: World) -> None:
    """Let it all happen, and then let all that happened be recorded."""
    with simulated(world.kernel, MODULES):
        for machine in world.machines:
            world.start(machine)
        for _ in range(STEPS):
            world.befall()
            world.kernel.step()
        world.calm()
        last = world.etcd.history[-1][0]
        for _ in range(PATIENCE):
            world.kernel.step()
            if is_recorded(world, last):
                break
            world.revive()
        else:
            raise AssertionError(f"revision {last} isn't recorded: {[m.failure for m in world.machines]}")
        while any(machine.process is not None for machine in world.machines):
            for machine in world.machines:
                if machine.capture is not None:
                    machine.capture.stop()
            assert world.kernel.step(), "they don't end"
    failures = [machine.failure for machine in world.machines if machine.failure is not None]
    assert [each for each in failures if not isinstance(each, StoreUnavailable | SourceUnavailable)] == []


def is_recorded(world: World, revision: int) -> bool:
    """Tell whether some log of the store has come so far; cheap, since it is asked after each step."""
    return any(
        promise.position.revision >= revision or promise.through_revision >= revision
        for promise in world.promises[-1:]
    )


def judge(world: World) -> None:
    """Hold what is in the store against what etcd held."""
    store = MemoryStore()
    store.objects = world.objects
    opened = open_archive(store)
    stamps = []
    for number, epoch in enumerate(opened.epochs):
        end = opened.epochs[number + 1].follows if number + 1 < len(opened.epochs) else None
        history = recorded(store, epoch.epoch, end.position.revision if end else None)
        assert history == [
            each for each in world.etcd.history if epoch.base < each[0] <= (history or [(epoch.base,)])[-1][0]
        ], f"epoch {epoch.epoch}"
        stamps += [epoch.observed_at, *stamps_of(store, epoch.epoch, end.position.revision if end else None)]
        revisions = [epoch.base, *(revision for revision, _ in history)]
        for revision in world.kernel.chance.sample(revisions, min(6, len(revisions))):
            restored = restore(store, AtRevision(revision))
            assert restored.epoch.epoch == epoch.epoch
            assert dict(restored.state.items()) == world.etcd.states[revision], f"revision {revision}"
    assert stamps == sorted(set(stamps))
    assert verify_full(store).damages == ()
    latest = restore(store, Latest())
    assert dict(latest.state.items()) == world.etcd.states[world.etcd.head]
    for promise in world.promises:
        if promise.position.epoch:
            answer = restore(store, AtTime(promise.observed_through))
            assert Position(answer.epoch.epoch, answer.state.revision) == promise.position, f"{promise}"


def segments(store: MemoryStore, epoch: int, until: int | None) -> list[objects.Segment]:
    """Return the segments of an epoch in order, as far as they count."""
    found: list[objects.Segment] = []
    for name in pieces(store, epoch, open_archive(store).epochs[epoch - 1].base):
        for segment in decode_piece(store.get(str(name)), name):
            end = found[-1].footer.last_revision if found else 0
            if segment.header.revision >= end and (until is None or segment.header.revision < until):
                found.append(segment)
    return found


def recorded(store: MemoryStore, epoch: int, until: int | None) -> list[tuple[int, tuple]]:
    """Return each recorded revision with its events; the log must be one chain without a hole."""
    opened = open_archive(store).epochs[epoch - 1]
    base = objects.decode_snapshot(store.get(opened.snapshot), opened.snapshot)
    state: State = base.state
    anchor, history = base.footer.anchor(base.digest), []
    for segment in segments(store, epoch, until):
        assert segment.header.revision == state.revision
        assert segment.footer.previous == anchor
        for batch in segment.batches:
            state.apply(batch)
            history.append((batch.revision, batch.events))
        assert segment.footer.state_digest == state.digest
        anchor = segment.digest
    return history


def stamps_of(store: MemoryStore, epoch: int, until: int | None) -> list:
    """Return the stamps of an epoch's batches, in order."""
    return [batch.observed_at for segment in segments(store, epoch, until) for batch in segment.batches]
