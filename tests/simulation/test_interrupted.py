"""A process is killed before and after each single call to the store and the spool, and another goes on.

One machine, one story (bootstrap, segments, a snapshot, a merge, an outage with a spool, a lineage break),
always in the same order, which is the kernel's seed. Then the same story again, killed at the first call, at
the second, and so on through all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_store import MemoryStore
from simulation.judge import judge
from simulation.kernel import simulated
from simulation.world import MODULES, World

from replicator.core.plan import Latest
from replicator.errors import StoreUnavailable
from replicator.flows.open_archive import open_archive
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 20_000
STRIDE = 3  # each run takes each third call, from a start of its own


class Story(World):
    """A world without chance: what happens is told step by step, and every call is counted.

    Attributes:
        calls: How many calls there were.
        fatal: The call at which the process is killed; before it takes effect if *is_before*, else after.
    """

    def __init__(self, fatal: int | None = None, *, is_before: bool = True, machines: int = 1) -> None:
        super().__init__(1, machines)
        self.is_calm = True
        self.calls = 0
        self.fatal = fatal
        self.is_before = is_before
        self.was_killed = False

    def called(self, *, before: bool) -> None:
        """Count a call, and kill whoever made it if it is the fatal one."""
        self.calls += before
        if self.calls == self.fatal and before == self.is_before and not self.was_killed:
            task = self.kernel.current
            assert task is not None
            self.was_killed = True
            self.dead.add(task.process.name)
            task.process.is_dead = True
            self.kernel.live()

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Let time pass until *true* is; whoever was killed is buried and followed by another."""
        for _ in range(PATIENCE):
            if true():
                return
            self.kernel.step()
            self.bury()
            self.revive()
        raise AssertionError(f"never: {what}; {[machine.failure for machine in self.machines]}")

    def bury(self) -> None:
        """Take away the process that was killed by a call of its own."""
        for machine in self.machines:
            if machine.process is not None and machine.process.is_dead:
                process, machine.process, machine.capture = machine.process, None, None
                self.kernel.kill(process)

    def put(self, value: bytes) -> None:
        """Change a key."""
        self.etcd.put(b"/apisix/a", value)

    def is_recorded(self) -> bool:
        """Tell whether the checkpoint knows all that has happened."""
        last = self.promises[-1] if self.promises else None
        return last is not None and last.position.epoch > 0 and last.through_revision >= self.etcd.head


def told(story: Story) -> None:
    """Tell the story to its end, whoever dies in it."""
    with simulated(story.kernel, MODULES):
        story.revive()
        story.until(story.is_recorded, "the first base")
        for number in range(6):
            story.put(b"%d" % number)
            story.until(story.is_recorded, f"change {number}")
        story.kernel.now_s += 61  # a snapshot is due, and then a merge
        story.put(b"snapshot")
        story.until(
            lambda: any("/snapshots/" in name and ".base" not in name for name in story.objects), "one"
        )
        story.kernel.now_s += 31
        story.until(lambda: any("/merged/" in name for name in story.objects), "a merged object")
        story.store_is_away = True
        story.is_calm = False
        for number in range(4):
            story.put(b"while the store is away %d" % number)
            for _ in range(60):
                story.kernel.step()
                story.bury()
                story.revive()
        story.store_is_away = False
        story.is_calm = True
        story.until(story.is_recorded, "what waited in the spool")
        story.kernel.now_s += 61  # the grace time of what was merged
        story.put(b"last of this history")
        story.until(story.is_recorded, "it")
        story.cluster_id, story.lineage = "c2", story.lineage + 1
        story.until(lambda: "e00000002/epoch.json" in story.objects, "the second epoch")
        story.put(b"of another cluster")
        story.until(story.is_recorded, "it")
        while any(machine.process is not None for machine in story.machines):
            for machine in story.machines:
                if machine.capture is not None:
                    machine.capture.stop()
            story.kernel.step()
            story.bury()
    for machine in story.machines:
        assert machine.failure is None or isinstance(machine.failure, StoreUnavailable)


def length() -> int:
    """Return how many calls the whole story has when nobody is killed."""
    story = Story()
    told(story)
    judge(story)
    return story.calls


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("start", range(STRIDE))
def test_the_story_ends_the_same_whoever_is_killed_at_whichever_call(start, is_before) -> None:
    for fatal in range(1 + start, length() + 1, STRIDE):
        story = Story(fatal, is_before=is_before)
        try:
            told(story)
            judge(story)
            store = MemoryStore()
            store.objects = story.objects
            assert len(open_archive(store).epochs) == 2
            assert dict(restore(store, Latest()).state.items()) == story.etcd.states[story.etcd.head]
        except BaseException as failure:
            raise AssertionError(f"killed {'before' if is_before else 'after'} call {fatal}") from failure
