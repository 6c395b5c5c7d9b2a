"""The kinds of faults: each does its harm, yields for how long, and mends what it did."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from faults.archive import Saving
from faults.stage import RETENTION_S
from servers.ceph import Rgw
from servers.command import answered, called
from servers.etcd import Etcd
from servers.moto import refusal
from servers.proxy import Fault, at_random

from replicator.adapters.clock import SystemClock
from replicator.core.retention import RetentionRule
from replicator.errors import StoreUnavailable
from replicator.flows.prune import plan_pruning, prune

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.replica import Replica
    from faults.stage import Stage
    from servers.etcd_cluster import Cluster, Member

LEASE_S = 2.0
STORM = [Fault.BUSY, Fault.RESET, Fault.ACK_LOST, Fault.HANG, Fault.TRUNCATED, Fault.FLIPPED]


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        name: As the table has it.
        play: What happens, to the replica that is named if there is one.
        needs: What it has in hand meanwhile: ``writer``, ``standby``, ``replicas`` (all), ``etcd``,
            ``store``, ``compaction``, ``merging``.
        where: The stages that it is possible on: ``single`` and ``cluster`` are etcd's, ``s3``, ``ceph`` and
            ``directory`` the store's.
        weight: How often it comes, beside the others.
    """

    name: str
    play: Callable[..., Iterator[float]]
    needs: str
    where: tuple[str, ...] = ()
    weight: int = 2


def killed(stage: Stage, replica: Replica) -> Iterator[float]:
    """SIGKILL, and another start a while later."""
    replica.kill()
    yield stage.lasting(0, 3)
    replica.start()


def suspended(stage: Stage, replica: Replica) -> Iterator[float]:
    """SIGSTOP for longer than the lease, or not so long."""
    replica.suspend()
    yield stage.lasting(0.5, 3 * LEASE_S)
    replica.resume()


def all_killed(stage: Stage) -> Iterator[float]:
    """SIGKILL of every replica, and etcd forgets as much as it may before they come back."""
    for replica in stage.replicas:
        replica.kill()
    yield stage.lasting(0, 2)
    if stage.chance.random() < 0.3:
        stage.compact()
    for replica in stage.replicas:
        replica.start()


def full_disk(stage: Stage, replica: Replica) -> Iterator[float]:
    """No byte fits on the replica's disk, or a few do."""
    replica.fill_disk(stage.chance.choice([0, 200]))
    yield stage.lasting(0.5, 4)
    replica.free_disk()


def clock_jump(stage: Stage, replica: Replica) -> Iterator[float]:
    """The clock jumps by an hour, and a while later back."""
    replica.set_clock(stage.chance.choice([-3600, 3600]))
    yield stage.lasting(1, 5)
    replica.set_clock(0)


def etcd_killed(stage: Stage) -> Iterator[float]:
    """SIGKILL of the only etcd."""
    etcd = _single(stage)
    etcd.kill()
    yield stage.lasting(0, 3)
    etcd.start()


def etcd_suspended(stage: Stage) -> Iterator[float]:
    """SIGSTOP of the only etcd: nothing answers, and nothing is refused."""
    etcd = _single(stage)
    etcd.suspend()
    yield stage.lasting(0.5, 10)
    etcd.resume()


def etcd_wiped(stage: Stage) -> Iterator[float]:
    """The data directory is lost: another history begins, at the first revision."""
    etcd = _single(stage)
    with stage.writing.paused():
        etcd.kill()
        stage.observer.turn()
        etcd.wipe()
        stage.saved.clear()
        etcd.start()
    yield 0


def etcd_restored(stage: Stage) -> Iterator[float]:
    """A snapshot is put in the place of the data, as after a disaster; the first time, it is only made."""
    etcd = _single(stage)
    if stage.saved:
        path, chronicle, revision = stage.chance.choice(stage.saved)
        with stage.writing.paused():
            etcd.kill()
            stage.observer.turn(stage.observer.chronicles[chronicle], revision)
            etcd.restore(path)
            etcd.start()
    else:
        path = stage.place.folder / f"etcd-{stage.counts.total()}.snapshot"
        with stage.writing.paused():
            revision = etcd.save(path)
            stage.observer.catch_up(revision)
        stage.saved.append((path, len(stage.observer.chronicles) - 1, revision))
    yield 0


def member_killed(stage: Stage) -> Iterator[float]:
    """SIGKILL of a member that doesn't lead."""
    yield from _member_gone(stage, stage.chance.choice(_cluster(stage).others(_cluster(stage).leader())))


def leader_killed(stage: Stage) -> Iterator[float]:
    """SIGKILL of the leader."""
    yield from _member_gone(stage, _cluster(stage).leader())


def leader_suspended(stage: Stage) -> Iterator[float]:
    """SIGSTOP of the leader: the others elect another."""
    leader = _cluster(stage).leader()
    leader.suspend()
    yield stage.lasting(1, 10)
    leader.resume()


def quorum_lost(stage: Stage) -> Iterator[float]:
    """SIGSTOP of two members of three."""
    members = stage.chance.sample(_cluster(stage).members, 2)
    for member in members:
        member.suspend()
    yield stage.lasting(1, 6)
    for member in members:
        member.resume()


def compacted(stage: Stage) -> Iterator[float]:
    """Forget everything but the last revision, or some of it."""
    stage.compact(stage.chance.choice([1.0, 1.0, stage.chance.random()]))
    yield 0


def store_away(stage: Stage) -> Iterator[float]:
    """The store is away, and etcd forgets everything each second meanwhile."""
    if stage.place.proxy is not None:
        how = stage.chance.choice([Fault.BUSY, Fault.RESET, Fault.HANG])
        stage.place.proxy.follow(itertools.repeat(how))
    else:
        stage.place.set_present(present=False)
    for _ in range(round(stage.lasting(2, 8))):
        yield 1
        stage.compact()
    _mend_store(stage)


def store_suspended(stage: Stage) -> Iterator[float]:
    """SIGSTOP of the store itself."""
    rgw = _rgw(stage)
    rgw.suspend()
    yield stage.lasting(0.5, 8)
    rgw.resume()


def store_killed(stage: Stage) -> Iterator[float]:
    """SIGKILL of the store itself."""
    rgw = _rgw(stage)
    rgw.kill()
    yield stage.lasting(0, 3)
    rgw.start()


def store_storm(stage: Stage) -> Iterator[float]:
    """Many requests fail, each in its own way."""
    assert stage.place.proxy is not None
    script = at_random(stage.chance.randrange(1 << 30), STORM, stage.chance.choice([0.1, 0.3, 0.6]))
    stage.place.proxy.follow(script)
    yield stage.lasting(2, 8)
    _mend_store(stage)


def credentials_expired(stage: Stage) -> Iterator[float]:
    """The store says that the credentials have expired."""
    assert stage.place.proxy is not None
    stage.place.proxy.follow(itertools.repeat(refusal(403, "ExpiredToken")))
    yield stage.lasting(1, 5)
    _mend_store(stage)


def merged(stage: Stage) -> Iterator[float]:
    """Somebody calls `compact`, twice and with hardly any grace."""
    for _ in range(2):
        outcome = called("-c", stage.direct, "compact", "--grace", "1s")
        assert outcome.code in {0, StoreUnavailable.exit_code}, outcome.err  # a directory may be away
        yield 1.5


def pruned(stage: Stage) -> Iterator[float]:
    """Somebody names the newest moment, and prunes all but the last seconds; who judges keeps what goes."""
    answered("-c", stage.direct, "point", "add", f"kept-{stage.counts.total()}", "--latest")
    stage.pruned_at = time.monotonic()
    store = Saving(stage.store, stage.pruned)
    rule, clock = RetentionRule(full=timedelta(seconds=RETENTION_S)), SystemClock()
    prune(store, rule, clock, plan_pruning(store, rule, clock))
    yield 0


KINDS = [
    Kind("writer killed", killed, "writer", weight=4),
    Kind("writer suspended", suspended, "writer", weight=4),
    Kind("standby killed", killed, "standby"),
    Kind("standby suspended", suspended, "standby"),
    Kind("all replicas killed", all_killed, "replicas", weight=1),
    Kind("spool's disk full", full_disk, "writer"),
    Kind("clock jump of 1 h", clock_jump, "writer"),
    Kind("etcd killed", etcd_killed, "etcd", ("single",)),
    Kind("etcd suspended", etcd_suspended, "etcd", ("single",)),
    Kind("etcd wiped", etcd_wiped, "etcd", ("single",), weight=1),
    Kind("etcd snapshot restored", etcd_restored, "etcd", ("single",)),
    Kind("member killed", member_killed, "etcd", ("cluster",)),
    Kind("leader killed", leader_killed, "etcd", ("cluster",)),
    Kind("leader suspended", leader_suspended, "etcd", ("cluster",)),
    Kind("quorum lost", quorum_lost, "etcd", ("cluster",)),
    Kind("etcd compacted", compacted, "compaction", weight=4),
    Kind("store away", store_away, "store", weight=3),
    Kind("store storm", store_storm, "store", ("s3",), weight=3),
    Kind("credentials expired", credentials_expired, "store", ("s3",)),
    Kind("store suspended", store_suspended, "store", ("ceph",)),
    Kind("store killed", store_killed, "store", ("ceph",)),
    Kind("segments merged", merged, "merging", weight=1),
    Kind("history pruned", pruned, "store", weight=1),
]


def _mend_store(stage: Stage) -> None:
    if stage.place.proxy is not None:
        stage.place.proxy.follow(())
    else:
        stage.place.set_present(present=True)


def _member_gone(stage: Stage, member: Member) -> Iterator[float]:
    member.kill()
    yield stage.lasting(0, 4)
    member.launch()
    member.await_ready()


def _single(stage: Stage) -> Etcd:
    assert isinstance(stage.etcd, Etcd)
    return stage.etcd


def _rgw(stage: Stage) -> Rgw:
    assert isinstance(stage.place.service, Rgw)
    return stage.place.service


def _cluster(stage: Stage) -> Cluster:
    assert not isinstance(stage.etcd, Etcd)
    return stage.etcd
