"""What a simulated process meets on its machine: the store, etcd, the spool and its peers, all faulty."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memory_store import MemoryStore
from simulation.kernel import Process, SimulatedClock

from replicator.errors import Compacted, SourceUnavailable, StoreUnavailable
from replicator.ports import Delivery, SourceStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulation.world import World

    from replicator.core.records import Record
    from replicator.flows.capture import Capture


class Store(MemoryStore):
    """The one store, as *machine* reaches it: calls may fail, hang, or be done without an answer."""

    def __init__(self, world: World, machine: Machine) -> None:
        super().__init__()
        self.objects = world.objects
        self._world = world
        self._machine = machine

    def create(self, name: str, body: bytes) -> None:
        """Do as `MemoryStore`, if fate has it so."""
        is_lost = self._befall(name)
        super().create(name, body)
        self._world.note(name, body)
        self._answer(name, is_lost=is_lost)

    def get(self, name: str) -> bytes:
        """Do as `MemoryStore`, if fate has it so."""
        self._befall(name)
        return super().get(name)

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Do as `MemoryStore`, if fate has it so."""
        self._befall(prefix)
        yield from sorted(name for name in self.objects if name.startswith(prefix) and name > after)

    def delete(self, name: str) -> None:
        """Do as `MemoryStore`, if fate has it so."""
        is_lost = self._befall(name)
        super().delete(name)
        self._answer(name, is_lost=is_lost)

    def replace(self, name: str, old: bytes | None, new: bytes) -> None:
        """Do as `MemoryStore`, if fate has it so."""
        is_lost = self._befall(name)
        super().replace(name, old, new)
        self._world.note(name, new)
        self._answer(name, is_lost=is_lost)

    def _befall(self, name: str) -> bool:
        """Hand over before the call takes effect; tell whether its answer gets lost."""
        world = self._world
        world.kernel.sleep()
        world.called(before=True)
        fate = world.kernel.chance.random()
        if world.is_calm:
            return False
        if self._machine.is_cut_off or world.store_is_away or fate < 0.02:
            raise StoreUnavailable(f"{name}: away")
        return fate > 0.98

    def _answer(self, name: str, *, is_lost: bool) -> None:
        self._world.called(before=False)
        if is_lost:
            raise StoreUnavailable(f"{name}: the acknowledgement is lost")
        self._world.kernel.sleep()


class Source:
    """The one etcd, as *machine* reaches it."""

    def __init__(self, world: World, machine: Machine, clock: SimulatedClock) -> None:
        self._world = world
        self._machine = machine
        self._clock = clock
        self._is_interrupted = False
        self._lineage = 0

    def status(self) -> SourceStatus:
        """Tell where etcd stands."""
        self._reach()
        self._lineage = self._world.lineage
        return SourceStatus(self._world.cluster_id, "3.5.16", self._world.etcd.head)

    def read(self, revision: int) -> Iterator[tuple[bytes, Record]]:
        """Yield what etcd held at *revision*."""
        self._reach()
        if revision < self._world.compacted:
            raise Compacted
        yield from sorted(self._world.etcd.states[revision].items())

    def watch(self, after: int) -> Iterator[Delivery]:
        """Return what happens, a second late at times, with bookmarks in between."""
        self._reach()
        if self._lineage != self._world.lineage:
            raise SourceUnavailable("etcd was exchanged while it was asked")
        if after < self._world.compacted:
            raise Compacted(self._world.compacted)
        return self._deliveries(after, self._lineage)

    def _deliveries(self, cursor: int, lineage: int) -> Iterator[Delivery]:
        world = self._world
        while True:
            is_last = self._is_interrupted
            world.kernel.sleep(0.0 if is_last else world.kernel.chance.choice([0.0, 0.1, 1.0]))
            if self._machine.is_without_etcd or world.lineage != lineage:
                raise SourceUnavailable("the watch was cut off")
            moment, head = self._clock.now(), world.etcd.head
            news = tuple(each for each in world.etcd.history if cursor < each[0] <= head)
            if news:
                cursor = news[-1][0]
                yield Delivery(self._clock.now(), news)
            if world.kernel.chance.random() < 0.5 or is_last:
                cursor = head
                yield Delivery(moment, (), through=cursor)
            if is_last:
                return

    def interrupt(self) -> None:
        """End the watch."""
        self._is_interrupted = True

    def neighbour(self) -> bytes | None:
        """Return nothing: there are no other keys."""
        return None

    def _reach(self) -> None:
        self._world.kernel.sleep(0.05)
        if self._machine.is_without_etcd:
            raise SourceUnavailable("etcd is away")


@dataclass(eq=False)
class Machine:
    """A machine with a disk: one process at a time runs on it.

    Attributes:
        disk: The spool's folders, by writer.
        owners: Which process each folder belongs to.
    """

    name: str
    process: Process | None = None
    capture: Capture | None = None
    is_cut_off: bool = False
    is_without_etcd: bool = False
    disk: dict[str, MemoryStore] = field(default_factory=dict)
    owners: dict[str, Process] = field(default_factory=dict)
    failure: BaseException | None = None


class Spools:
    """The spool of a machine as one process sees it."""

    def __init__(self, world: World, machine: Machine, process: Process) -> None:
        self._world, self._machine, self._process = world, machine, process

    def own(self, archive_id: str, writer: str) -> MemoryStore:  # noqa: ARG002
        """Return the writer's folder."""
        self._machine.owners[writer] = self._process
        return self._machine.disk.setdefault(writer, Disk(self._world))

    def left(self, archive_id: str) -> list[MemoryStore]:  # noqa: ARG002
        """Return what the dead, or this process's earlier terms, have left."""
        machine = self._machine
        return [
            place for writer, place in machine.disk.items() if machine.owners[writer] is not self._process
        ]

    def release(self) -> None:
        """Let the folders be found by the next term."""
        for writer, owner in self._machine.owners.items():
            if owner is self._process:
                self._machine.owners[writer] = Process("nobody", is_dead=True)


class Disk(MemoryStore):
    """A folder of the spool; the disk is full at times."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def create(self, name: str, body: bytes) -> None:
        """Do as `MemoryStore`, unless the process has died or the disk is full."""
        self._world.kernel.live()
        if not self._world.is_calm and self._world.kernel.chance.random() < 0.02:
            raise StoreUnavailable(f"{name}: no space left on device")
        self._world.called(before=True)
        super().create(name, body)
        self._world.called(before=False)
        self._world.kernel.sleep()

    def delete(self, name: str) -> None:
        """Do as `MemoryStore`, unless the process has died."""
        self._world.kernel.live()
        self._world.called(before=True)
        super().delete(name)
        self._world.called(before=False)


class Peers:
    """Who can be seen to be dead: processes of the same machine."""

    def __init__(self, world: World, machine: Machine, process: Process) -> None:
        self._world, self._machine, self._process = world, machine, process

    def me(self) -> str:
        """Return machine and process."""
        return f"{self._machine.name}/{self._process.name}"

    def is_gone(self, process: str) -> bool:
        """Tell whether *process* was of this machine and has ended."""
        machine, _, name = process.partition("/")
        return machine == self._machine.name and name in self._world.dead
