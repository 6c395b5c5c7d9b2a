"""A world for captures: machines with spools, one etcd, one store, and everything that can befall them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from archives import PREFIX, quiet_log
from etcd_model import EtcdModel
from memory_store import MemoryStore
from simulation.kernel import Kernel, Killed, Process, SimulatedClock

from replicator.core import documents, names
from replicator.core.documents import Checkpoint
from replicator.core.schedule import Schedule
from replicator.errors import Compacted, ReplicatorError, SourceUnavailable, StoreUnavailable
from replicator.flows import (
    begin,
    capture,
    fetch,
    follow,
    housekeeping,
    inbox,
    readback,
    snapshots,
    spool,
    standby,
    term,
)
from replicator.flows.capture import Capture
from replicator.flows.housekeeping import HousekeepingRules
from replicator.flows.inbox import GroupCommit
from replicator.flows.lease import Cadence
from replicator.flows.link import Link
from replicator.flows.merge import MergeRules
from replicator.flows.standby import LeaseRules
from replicator.flows.term import CaptureRules
from replicator.ports import Delivery, SourceStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.core.records import Record

MODULES = [begin, capture, fetch, follow, housekeeping, inbox, readback, snapshots, spool, standby, term]
SILENCE_S = 30.0
KEYS = [b"/apisix/a", b"/apisix/b", b"/apisix/c", b"/apisix/d"]


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
        self._befall(name)
        super().delete(name)

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
        fate = world.kernel.chance.random()
        if world.is_calm:
            return False
        if self._machine.is_cut_off or world.store_is_away or fate < 0.02:
            raise StoreUnavailable(f"{name}: away")
        return fate > 0.98

    def _answer(self, name: str, *, is_lost: bool) -> None:
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

    def status(self) -> SourceStatus:
        """Tell where etcd stands."""
        self._reach()
        return SourceStatus(self._world.cluster_id, "3.5.16", self._world.etcd.head)

    def read(self, revision: int) -> Iterator[tuple[bytes, Record]]:
        """Yield what etcd held at *revision*."""
        self._reach()
        if revision < self._world.compacted:
            raise Compacted
        yield from sorted(self._world.etcd.states[revision].items())

    def watch(self, after: int) -> Iterator[Delivery]:
        """Yield what happens, a second late at times, with bookmarks in between."""
        world, cursor, lineage = self._world, after, self._world.lineage
        if cursor < world.compacted:
            raise Compacted
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
        super().create(name, body)
        self._world.kernel.sleep()

    def delete(self, name: str) -> None:
        """Do as `MemoryStore`, unless the process has died."""
        self._world.kernel.live()
        super().delete(name)


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


class World:
    """Everything there is; *seed* decides what happens."""

    def __init__(self, seed: int, machines: int = 3) -> None:
        self.kernel = Kernel(seed)
        self.seed = seed
        self.objects: dict[str, bytes] = {}
        self.etcd = EtcdModel()
        self.etcd.put(KEYS[0], b"0")
        self.cluster_id = "c1"
        self.lineage = 0
        self.compacted = 0
        self.is_calm = False
        self.store_is_away = False
        self.dead: set[str] = set()
        self.machines = [Machine(f"m{number}") for number in range(machines)]
        self.promises: list[Checkpoint] = []
        self.lineages: list[tuple[int, EtcdModel]] = []
        self.faults: dict[str, int] = {}
        self._count = 0
        self._later: list[tuple[float, object]] = []

    def note(self, name: str, body: bytes) -> None:
        """Keep what a checkpoint has promised: it must hold for ever."""
        if name == names.CHECKPOINT:
            self.promises.append(documents.decode(Checkpoint, body, name))

    def start(self, machine: Machine) -> None:
        """Start a process on *machine*."""
        self._count += 1
        process = Process(f"p{self._count}", skew_s=self.kernel.chance.choice([0.0, 0.0, 3.0, -3.0]))
        clock = SimulatedClock(self.kernel, process)
        bound, machine.log = quiet_log()  # type: ignore[attr-defined]

        def connect() -> Link:
            return Link(
                source=Source(self, machine, clock),
                prefix=PREFIX,
                store=Store(self, machine),
                spools=Spools(self, machine, process),
                peers=Peers(self, machine, process),
                clock=clock,
                log=bound,
                writer=f"{self.kernel.chance.getrandbits(128):032x}",
            )

        tidying = HousekeepingRules(
            merge=MergeRules(least=2, grace=timedelta(minutes=1)), merge_each=timedelta(seconds=30)
        )
        rules = CaptureRules(
            GroupCommit(1.0, 4096), Schedule("@every 1m"), 1 << 20, SILENCE_S, housekeeping=tidying
        )
        lease = LeaseRules(SILENCE_S, Cadence(10.0, 60.0))

        def live() -> None:
            machine.failure = None
            try:
                machine.capture = Capture(connect, rules, lease)
                machine.capture.run()
            except ReplicatorError as failure:
                machine.failure = failure
            except Killed:
                raise
            finally:
                self.dead.add(process.name)
                if machine.process is process:
                    machine.process = machine.capture = None

        machine.process = process
        self.kernel.spawn(process, live)

    def befall(self) -> None:
        """Let something happen, or nothing."""
        chance = self.kernel.chance
        for due, undo in [entry for entry in self._later if entry[0] <= self.kernel.now_s]:
            self._later.remove((due, undo))
            undo()  # type: ignore[operator]
        if chance.random() < 0.12:
            self._change()
        if chance.random() < 0.02 and not self.is_calm:
            machine = chance.choice(self.machines)
            fault = chance.choice(
                ["kill", "suspend", "pause", "stop", "clock", "cut", "etcd", "outage", "compact", "jump"]
            )
            self.faults[fault] = self.faults.get(fault, 0) + 1
            getattr(self, f"_{fault}")(machine)
        if not self.is_calm and chance.random() < 0.02:
            idle = [machine for machine in self.machines if machine.process is None]
            if idle:
                self.start(chance.choice(idle))

    def calm(self) -> None:
        """Let all faults end, and somebody write."""
        self.is_calm = True
        self.store_is_away = False
        for machine in self.machines:
            machine.failure = None
            machine.is_cut_off = machine.is_without_etcd = False
            if machine.process is not None:
                machine.process.asleep_until = 0.0
        self.revive()

    def revive(self) -> None:
        """Start a process where there is none."""
        for machine in self.machines:
            if machine.process is None:
                self.start(machine)

    def _change(self) -> None:
        chance = self.kernel.chance
        match chance.randrange(5):
            case 0:
                self.etcd.delete(chance.choice(KEYS))
            case 1:
                self.etcd.transact([(key, b"%d" % self.etcd.head, 0) for key in chance.sample(KEYS, 3)])
            case 2:
                self.etcd.pass_by()
            case _:
                self.etcd.put(chance.choice(KEYS), b"%d" % self.etcd.head)

    def _after(self, seconds: float, undo: object) -> None:
        self._later.append((self.kernel.now_s + self.kernel.chance.uniform(0, seconds), undo))

    def _kill(self, machine: Machine) -> None:
        if machine.process is not None:
            self.dead.add(machine.process.name)
            process, machine.process, machine.capture = machine.process, None, None
            self.kernel.kill(process)

    def _suspend(self, machine: Machine) -> None:
        if machine.process is not None:
            machine.process.asleep_until = self.kernel.now_s + self.kernel.chance.uniform(0, 200)

    def _pause(self, machine: Machine) -> None:
        if machine.process is not None:
            paused_s = self.kernel.chance.uniform(0, 400)
            machine.process.asleep_until = self.kernel.now_s + paused_s
            machine.process.lost_s += paused_s

    def _stop(self, machine: Machine) -> None:
        if machine.capture is not None:
            machine.capture.stop()

    def _clock(self, machine: Machine) -> None:
        if machine.process is not None:
            machine.process.skew_s += self.kernel.chance.choice([3600, -3600])

    def _jump(self, _machine: Machine) -> None:
        self.kernel.now_s += self.kernel.chance.uniform(0, 100)

    def _cut(self, machine: Machine) -> None:
        machine.is_cut_off = True
        self._after(100, lambda: setattr(machine, "is_cut_off", False))

    def _etcd(self, machine: Machine) -> None:
        machine.is_without_etcd = True
        self._after(100, lambda: setattr(machine, "is_without_etcd", False))

    def _outage(self, _machine: Machine) -> None:
        self.store_is_away = True
        self._after(200, lambda: setattr(self, "store_is_away", False))

    def _compact(self, _machine: Machine) -> None:
        self.compacted = self.kernel.chance.randint(max(self.compacted, self.etcd.head - 20), self.etcd.head)
