"""One run: some time of faults, each at its moment as a seed has it; then calm, an orderly end, a verdict."""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from faults.judge import Verdict, judged
from faults.kinds import KINDS
from faults.oracle import Observer
from faults.stage import Place, Stage
from faults.writing import Writing
from servers.ceph import Rgw
from servers.command import until
from servers.etcd import Etcd
from servers.etcd_cluster import cluster_of
from servers.proxy import faulty

from replicator.core.plan import Latest
from replicator.errors import StoreUnavailable
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.kinds import Kind
    from faults.replica import Replica
    from faults.stage import Service
    from servers.etcd_cluster import Cluster

_LAST = b"/apisix/last"
_CALM_S = 120.0

# So long libfaketime goes on with the time that it had; a store refuses what is signed an hour off.
_CLOCK_S = 2.0


@dataclass(frozen=True)
class Plan:
    """A run.

    Attributes:
        seed: Decides all but the machine's own timing.
        seconds: How long faults happen.
        folder: For all files; what went wrong can be seen there.
        etcd_binary: The etcd to run.
        service: The S3 server; None for an archive in a directory.
        is_cluster: Whether etcd has three members.
        replicas: How many processes share the archive.
        rate: About how many changes a second are made.
        pause_s: The mean time between the beginnings of two faults.
        pace: How long they last; 1 is meant for long runs.
        kinds: Which kinds happen; by default all.
    """

    seed: int
    seconds: float
    folder: Path
    etcd_binary: Path
    service: Service | None = None
    is_cluster: bool = False
    replicas: int = 3
    rate: float = 25.0
    pause_s: float = 0.7
    pace: float = 1.0
    kinds: tuple[Kind, ...] = tuple(KINDS)

    def __str__(self) -> str:
        store = "directory" if self.service is None else type(self.service).__name__
        return f"seed {self.seed}, {store}, {'three etcds' if self.is_cluster else 'one etcd'}"

    def possible(self) -> list[Kind]:
        """Return the kinds that can happen on this stage."""
        here = {"cluster" if self.is_cluster else "single", "directory" if self.service is None else "s3"}
        if isinstance(self.service, Rgw):
            here.add("ceph")
        return [kind for kind in self.kinds if set(kind.where) <= here]


@dataclass
class Outcome:
    """How a run went: the faults that were injected, and what became of the history."""

    plan: Plan
    faults: dict[str, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    verdict: Verdict = field(default_factory=Verdict)

    def line(self) -> str:
        """Return the outcome in a line."""
        told = self.verdict
        return (
            f"{sum(self.faults.values())} faults; {told.written} events written, {told.recorded} recorded, "
            f"{told.in_gaps} in {told.gaps} gaps, {told.lost} lost, {told.wrong} wrong"
        )


def played(plan: Plan) -> Outcome:
    """Do the run.

    Raises:
        AssertionError: The replicas don't come to rest, or end with an error when they are told to.
    """
    chance = random.Random(plan.seed)
    with ExitStack() as stack:
        proxy = stack.enter_context(faulty(plan.service.endpoint)) if plan.service else None
        etcd = _etcd(plan, stack)
        endpoints = [etcd.endpoint] if isinstance(etcd, Etcd) else etcd.endpoints
        observer = stack.enter_context(Observer(endpoints))
        writing = Writing(endpoints, chance, plan.rate)
        place = Place(plan.folder, plan.service, proxy, is_encrypted=bool(plan.seed % 2))
        stage = Stage(place, etcd, observer, writing, chance, plan.replicas)
        stage.pace = plan.pace
        for replica in stage.replicas:
            stack.callback(replica.kill)
        _open(stage)
        with writing:
            _befall(stage, plan)
        _rest(stage, plan)
        ends = sum((replica.ends for replica in stage.replicas), start=Counter())
        return Outcome(plan, dict(stage.counts), dict(ends), judged(stage))


def _etcd(plan: Plan, stack: ExitStack) -> Etcd | Cluster:
    if plan.is_cluster:
        return stack.enter_context(cluster_of(plan.etcd_binary))
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="etcd-")))
    return stack.enter_context(Etcd(folder, plan.etcd_binary))


def _open(stage: Stage) -> None:
    """Let the first epoch begin: what happened before it was never promised."""
    stage.put(b"/apisix/routes/", b"init_dir")
    for replica in stage.replicas:
        replica.start()
    for replica in stage.replicas:
        replica.await_work()
    until(lambda: stage.writer().said(["watch.started"], 0) is not None, "the first epoch begins")


def _befall(stage: Stage, plan: Plan) -> None:
    """Begin faults and end them, side by side as it comes."""
    under_way: list[tuple[float, int, Iterator[float], set[str]]] = []
    numbers, end = itertools.count(), time.monotonic() + plan.seconds
    possible = plan.possible()
    begin_at = time.monotonic() + 0.5
    while time.monotonic() < end or under_way:
        moment = min(begin_at, under_way[0][0] if under_way else begin_at)
        stage.wait(moment - time.monotonic())
        if under_way and under_way[0][0] <= begin_at:
            _, _, play, hands = heapq.heappop(under_way)
        elif time.monotonic() < end:
            begin_at = time.monotonic() + stage.chance.expovariate(1 / plan.pause_s)
            (kind,) = stage.chance.choices(possible, [kind.weight for kind in possible])
            chosen = stage.hands(kind.needs)
            if chosen is None:
                continue
            stage.counts[kind.name] += 1
            names = [each.name for each in chosen]
            stage.note(f"{kind.name} {' '.join(names)}")
            hands = set(names) or {kind.needs}
            play = kind.play(stage, *(chosen if kind.needs != "replicas" else ()))
            stage.busy |= hands
        else:
            begin_at = float("inf")
            continue
        pause = next(play, None)
        if pause is None:
            stage.busy -= hands
        else:
            heapq.heappush(under_way, (time.monotonic() + pause, next(numbers), play, hands))


def _rest(stage: Stage, plan: Plan) -> None:
    """Let all that etcd holds be recorded, and the replicas end in order."""
    last = b"the end of seed %d" % plan.seed
    stage.put(_LAST, last)
    stage.wait(_CLOCK_S)
    for replica in stage.replicas:
        replica.await_work()
    deadline = time.monotonic() + _CALM_S
    while not _is_recorded(stage, last):
        assert time.monotonic() < deadline, f"{plan}: not all is recorded; see {plan.folder}"
        stage.wait(0.5)
    stage.stopped_at = time.monotonic()
    codes = [_stopped(replica) for replica in stage.replicas]
    assert codes == [0] * len(codes), f"{plan}: exit codes {codes}; see {plan.folder}"
    bugs = [replica.name for replica in stage.replicas if 1 in replica.ends]
    assert not bugs, f"{plan}: a bug ended {bugs}; see {plan.folder}"


def _stopped(replica: Replica) -> int:
    """Let *replica* end; return its exit code, that of the next one here if it has left something behind.

    It says so, and ends with 5, if a store that hung a moment before hasn't answered it in time.
    """
    code = replica.stop()
    if code == StoreUnavailable.exit_code:
        replica.start()
        replica.await_work()
        code = replica.stop()
    return code


def _is_recorded(stage: Stage, last: bytes) -> bool:
    record = dict(restore(stage.store, Latest()).state.items()).get(_LAST)
    return record is not None and record.value == last
