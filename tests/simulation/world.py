"""A world for captures: machines with spools, one etcd, one store, and everything that can befall them."""

from __future__ import annotations

from datetime import timedelta

from archives import PREFIX, quiet_log
from etcd_model import EtcdModel
from simulation.kernel import Kernel, Killed, Process, SimulatedClock
from simulation.machine import Machine, Peers, Source, Spools, Store

from replicator.core import documents, names
from replicator.core.documents import Checkpoint
from replicator.core.schedule import Schedule
from replicator.errors import ReplicatorError
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

MODULES = [begin, capture, fetch, follow, housekeeping, inbox, readback, snapshots, spool, standby, term]
SILENCE_S = 30.0
KEYS = [b"/apisix/a", b"/apisix/b", b"/apisix/c", b"/apisix/d"]


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

    def called(self, *, before: bool) -> None:
        """Hear that a process is about to call a store, or has; others than this world may care."""

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
