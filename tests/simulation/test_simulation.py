"""Several writers, failing machines and a failing store, in every order that a seed can think of.

`SIMULATION_SEEDS=1-10000 pytest tests/simulation` runs more; a failure names its seed.
"""

from __future__ import annotations

import os

import pytest
from simulation.judge import judge
from simulation.kernel import simulated
from simulation.world import MODULES, World

from replicator.errors import SourceUnavailable, StoreUnavailable

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


@pytest.mark.parametrize("seed", [10227, 125542, 507262])
def test_a_schedule_that_once_went_wrong_stays_right(seed) -> None:
    """A snapshot behind a stray, strays on both sides of a snapshot: neither left a way to the log's end.

    What a killed writer had left of an epoch, with the clock set back: nobody could open that epoch any more.
    """
    world = World(seed)
    played(world)
    judge(world)


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
