"""The verdict on a run: the archive against etcd's own history, revision by revision."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from faults.archive import Recorded, copied, recorded
from faults.gaps import is_hasty, runs_of, stalls, witness
from faults.stage import PREFIX, RETENTION_S
from servers.command import called

from replicator.core.plan import AtRevision, Thinned
from replicator.errors import ArchiveDamaged, TargetNotRestorable
from replicator.flows.points import list_points, target_of
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faults.oracle import Change, Chronicle
    from faults.stage import Stage

    from replicator.core.records import Record
    from replicator.ports import ObjectStore

_RESTORES = 300
_TOLD = 20

# So much earlier than here a replica may have seen a change: that of a jumped clock is later still.
_STAMPED_S = 3.0


@dataclass
class Verdict:
    """What became of etcd's history.

    Attributes:
        written: Events under the prefix since the first epoch began.
        recorded: Those that the archive has as etcd had them.
        in_gaps: Those that lie in declared gaps: etcd lost them while nobody could record.
        before_base: Those of `in_gaps` that etcd still held when the epoch after the gap was opened: where
            its history isn't the one that was recorded, that begins with the state of its moment.
        lost: Those that it should have, and hasn't. Must be 0.
        wrong: Whatever the archive says that isn't so. Must be 0.
        restores: How many states were restored and compared.
        gaps: How many gaps there are.
        told: What is wrong or lost, in words.
    """

    written: int = 0
    recorded: int = 0
    in_gaps: int = 0
    before_base: int = 0
    lost: int = 0
    wrong: int = 0
    restores: int = 0
    gaps: int = 0
    told: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing is lost and nothing wrong."""
        return self.lost == self.wrong == 0

    def object_to(self, what: str) -> None:
        """Count something wrong."""
        self.wrong += 1
        self.told = [*self.told, what][:_TOLD]


def judged(stage: Stage) -> Verdict:
    """Return the verdict; all replicas have ended, and etcd is there still."""
    verdict = Verdict()
    for mode in ("--full", "--live"):
        outcome = called("-c", stage.direct, "verify", mode)
        if outcome.code != 0:
            verdict.object_to(f"verify {mode}: {outcome.code}: {outcome.out.decode()} {outcome.err}")
    try:
        store = copied(stage.store)
        epochs = list(recorded(copied(store, stage.pruned)))
    except ArchiveDamaged as damage:
        verdict.object_to(str(damage))
        return verdict
    matches = _matched(epochs, stage.observer.chronicles, verdict)
    _judge_stamps(epochs, verdict)
    for stall in (stall for replica in stage.replicas for stall in stalls(replica)):
        verdict.object_to(stall)
    _count(stage, matches, verdict)
    _judge_restores(stage, store, matches, verdict)
    _judge_points(store, matches, verdict)
    _judge_refusals(stage, store, epochs, verdict)
    return verdict


def _matched(
    epochs: Iterable[Recorded], chronicles: list[Chronicle], verdict: Verdict
) -> list[tuple[Recorded, Chronicle]]:
    """Return each epoch with the history that it is true of: none older than that of the epoch before."""
    matches, place = [], 0
    for epoch in epochs:
        complaints = {}
        for number in range(place, len(chronicles)):
            complaints[number] = _complaint(epoch, chronicles[number])
            if complaints[number] is None:
                place = number
                matches.append((epoch, chronicles[number]))
                break
        else:
            verdict.object_to(f"epoch {epoch.number} is no history that etcd had: {complaints}")
    return matches


def _complaint(epoch: Recorded, chronicle: Chronicle) -> str | None:
    """Return how *epoch* differs from *chronicle*; None if it doesn't."""
    if epoch.end > chronicle.head:
        return f"it goes to {epoch.end}, etcd to {chronicle.head}"
    expected: dict[int, dict[bytes, Record | None]] = {}
    base: dict[bytes, Record] = {}
    for change, held in chronicle.states(PREFIX):
        if change.revision <= epoch.base:
            base = dict(held)
        elif change.revision <= epoch.end and change.within(PREFIX):
            expected[change.revision] = change.within(PREFIX)
    if base != epoch.state:
        return f"other keys at its base {epoch.base}"
    actual = dict(epoch.changes)
    if expected == actual:
        return None
    differing = sorted(
        revision for revision in expected | actual if expected.get(revision) != actual.get(revision)
    )
    return f"other events at {len(differing)} revisions, first {differing[:5]}"


def _judge_stamps(epochs: Iterable[Recorded], verdict: Verdict) -> None:
    stamps = [stamp for epoch in epochs for stamp in epoch.stamps]
    for one, other in pairwise(stamps):
        if one >= other:
            verdict.object_to(f"stamp {other} follows {one}")


def _count(stage: Stage, matches: list[tuple[Recorded, Chronicle]], verdict: Verdict) -> None:
    """Count each event of etcd's histories: recorded, in a gap, or lost."""
    covered = {
        change
        for epoch, chronicle in matches
        for change in chronicle.changes()
        if epoch.base <= change.revision <= epoch.end
    }
    first = matches[0][0].base if matches else 0
    for number, chronicle in enumerate(stage.observer.chronicles):
        changes = [
            change for change in chronicle.own if change.within(PREFIX) and change.seen_at < stage.stopped_at
        ]
        if number == 0:
            changes = [change for change in changes if change.revision >= first]
        verdict.written += sum(len(change.within(PREFIX)) for change in changes)
        begins = [epoch for epoch, history in matches if history is chronicle]
        for is_covered, run in runs_of(changes, covered):
            if is_covered:
                verdict.recorded += sum(len(change.within(PREFIX)) for change in run)
            else:
                verdict.gaps += 1
                for change in run:
                    after = next((epoch for epoch in begins if change.revision < epoch.base), None)
                    _judge_hole(stage, chronicle, change, after, verdict)


def _judge_hole(
    stage: Stage, chronicle: Chronicle, change: Change, after: Recorded | None, verdict: Verdict
) -> None:
    """Count the events of *change*, which the archive hasn't; *after* is the history's next epoch."""
    count, forgotten_at = len(change.within(PREFIX)), chronicle.forgotten_at(change.revision)
    told: str | None = "etcd holds it still"
    if forgotten_at is not None or (after is not None and after.reason != "compacted"):
        told = witness(change, chronicle.lost_at, stage.replicas)
    if forgotten_at is not None and forgotten_at == chronicle.lost_at and is_hasty(change, forgotten_at):
        told = None
    if told is None:
        verdict.in_gaps += count
        verdict.before_base += count if forgotten_at is None else 0
        return
    verdict.lost += count
    said = f"revision {change.revision}, seen at {change.seen_at:.2f}, forgotten at {forgotten_at}, is lost"
    verdict.told = [*verdict.told, f"{said}: {told}"][:_TOLD]


def _judge_restores(
    stage: Stage, store: ObjectStore, matches: list[tuple[Recorded, Chronicle]], verdict: Verdict
) -> None:
    """Restore revisions, all if they aren't too many, and compare each state with etcd's."""
    revisions = [
        (epoch.number, revision) for epoch, _ in matches for revision in range(epoch.base, epoch.end + 1)
    ]
    chosen = set(stage.chance.sample(revisions, min(_RESTORES, len(revisions))))
    old = stage.pruned_at - RETENTION_S + _STAMPED_S
    for epoch, chronicle in matches:
        expected: dict[int, dict[bytes, Record]] = {}
        thinned = {change.revision for change in chronicle.changes() if change.seen_at < old}
        for change, held in chronicle.states(PREFIX):
            if (epoch.number, change.revision) in chosen:
                expected[change.revision] = dict(held)
        for revision, state in expected.items():
            verdict.restores += 1
            target = AtRevision(revision, epoch.number)
            if not (revision in thinned and _is_thinned(store, target)):
                _judge_restore(store, target, state, verdict)


def _judge_points(store: ObjectStore, matches: list[tuple[Recorded, Chronicle]], verdict: Verdict) -> None:
    """Restore each named point: what was pruned since then has taken nothing of it."""
    for point in list_points(store):
        position = point.position
        for epoch, chronicle in matches:
            if epoch.number == position.epoch:
                held: dict[bytes, Record] = {}
                for change, state in chronicle.states(PREFIX):
                    if change.revision <= position.revision:
                        held = dict(state)
                verdict.restores += 1
                _judge_restore(store, target_of(point), held, verdict)


def _judge_restore(
    store: ObjectStore, target: AtRevision, state: dict[bytes, Record], verdict: Verdict
) -> None:
    try:
        restored = restore(store, target)
    except (TargetNotRestorable, ArchiveDamaged) as error:
        verdict.object_to(f"{target}: {error}")
        return
    if dict(restored.state.items()) != state:
        verdict.object_to(f"{target} restores to something else")


def _is_thinned(store: ObjectStore, target: AtRevision) -> bool:
    try:
        restore(store, target)
    except Thinned:
        return True
    return False


def _judge_refusals(stage: Stage, store: ObjectStore, epochs: list[Recorded], verdict: Verdict) -> None:
    """See that no revision between two epochs is restored to anything."""
    for one, other in pairwise(epochs):
        hole = [
            revision
            for revision in range(one.through + 1, other.base)
            if not any(epoch.base <= revision <= epoch.through for epoch in epochs)
        ]
        for revision in stage.chance.sample(hole, min(3, len(hole))):
            try:
                restore(store, AtRevision(revision))
            except TargetNotRestorable:
                continue
            verdict.object_to(
                f"revision {revision} lies in the gap before epoch {other.number}, and restores"
            )
        if hole:
            outcome = called("-c", stage.direct, "restore", "--revision", hole[0])
            if outcome.code != TargetNotRestorable.exit_code:
                verdict.object_to(f"restore of {hole[0]}, in a gap: {outcome.code} {outcome.err}")
