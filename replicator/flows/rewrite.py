"""Write old values forward into etcd: plan against what it holds, then transactions guarded by that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.apisix.references import rank, references, referrers, resource_of
from replicator.apisix.resource import is_heartbeat, name_of
from replicator.core.rewriting import plan, transactions
from replicator.errors import Refused, SourceUnavailable, UsageError
from replicator.flows.progress import UNWATCHED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicator.apisix.resource import Resource
    from replicator.core.rewriting import Rewriting
    from replicator.core.scan import Selection
    from replicator.core.state import State
    from replicator.flows.progress import Progress
    from replicator.ports import Rewritable

_AGAIN = "call it again: it looks at what etcd holds, and does what is left"


@dataclass(frozen=True, slots=True)
class Rollback:
    """The plan for one resource.

    Attributes:
        rewriting: What is to be written.
        along: What it refers to and isn't in etcd any more: it is written along with it.
        differing: What it refers to and is in etcd with another value than then: left alone.
        dangling: What it refers to and neither etcd nor the archive has.
        orphans: What refers to it in etcd, where it is to be deleted.
    """

    rewriting: Rewriting
    along: tuple[Resource, ...]
    differing: tuple[Resource, ...]
    dangling: tuple[Resource, ...]
    orphans: tuple[Resource, ...]


def plan_rewriting(
    live: State,
    wanted: Mapping[bytes, bytes],
    selection: Selection,
    prefix: str,
    *,
    keeps_others: bool = False,
) -> Rewriting:
    """Return the plan after which etcd holds *wanted*, as far as *selection* goes.

    Keys that tell that a gateway is alive, and keys on a lease, are left as they are; where *keeps_others*,
    so is what isn't in *wanted*.
    """
    root = prefix.encode()
    concerned = {key for key in wanted if selection.holds(key) and not is_heartbeat(key, root)}
    for key, record in live.items():
        if record.lease:
            concerned.discard(key)
        elif selection.holds(key) and not is_heartbeat(key, root) and not keeps_others:
            concerned.add(key)
    return plan(live, wanted, concerned, lambda key: rank(key, root))


def values_of(state: State) -> dict[bytes, bytes]:
    """Return the values of *state* that can be written: what hung on a lease went with it."""
    return {key: record.value for key, record in state.items() if not record.lease}


def plan_rollback(live: State, past: State, resource: Resource, prefix: str, *, deep: bool) -> Rollback:
    """Return the plan after which etcd holds *resource* as *past* has it.

    What it refers to is written along if etcd doesn't hold it, and, where *deep*, also if it differs.

    Raises:
        UsageError: Neither has it.
    """
    root = prefix.encode()
    key = resource.key(root)
    if past.get(key) is None and live.get(key) is None:
        raise UsageError(
            f"{resource} wasn't there then, and isn't now",
            hint=f"replicator history {resource}  (shows when it was)",
        )
    wanted: dict[bytes, bytes] = {}
    along: list[Resource] = []
    differing: list[Resource] = []
    dangling: list[Resource] = []
    waiting, seen = [resource], {resource}
    while waiting:
        one = waiting.pop(0)
        then, now = past.get(one.key(root)), live.get(one.key(root))
        if one != resource:
            if now is not None and (then is None or then.value == now.value):
                continue  # it is there, and is what it was, or newer than all of this
            if now is not None and not deep:
                differing.append(one)
                continue
            (dangling if then is None else along).append(one)
        if then is not None:
            wanted[one.key(root)] = then.value
            fresh = sorted(references(one, then.value) - seen, key=str)
            waiting += fresh
            seen.update(fresh)
    rewriting = plan(live, wanted, {*wanted, key}, lambda each: rank(each, root))
    items = [(each, record.value) for each, record in live.items()] if key not in wanted else []
    return Rollback(
        rewriting, tuple(along), tuple(differing), tuple(dangling), tuple(referrers(resource, items, root))
    )


def dangling_after(rewriting: Rewriting, live: State, prefix: str) -> list[tuple[Resource, Resource]]:
    """Return each pair of a resource that is to be written, and what it refers to and won't be there."""
    root = prefix.encode()
    made = {step.key: step.value for step in rewriting.steps}
    pairs = []
    for step in rewriting.steps:
        resource = resource_of(step.key, root)
        if resource is None or step.value is None:
            continue
        for other in sorted(references(resource, step.value), key=str):
            key = other.key(root)
            if (made[key] if key in made else live.get(key)) is None:
                pairs.append((resource, other))
    return pairs


def rewrite(
    destination: Rewritable,
    rewriting: Rewriting,
    prefix: str,
    progress: Progress = UNWATCHED,
) -> None:
    """Do the steps of *rewriting*, in as many transactions as it takes; *progress* hears of each key.

    Raises:
        Refused: Somebody else has changed a key since the plan was made. The transaction that met it did
            nothing, those before it stay done.
        SourceUnavailable: etcd doesn't answer, or refuses.
    """
    done, total = 0, len(rewriting.steps)
    progress.expect(total)
    for steps in transactions(rewriting.steps):
        try:
            changed = destination.transact(steps)
        except SourceUnavailable as error:
            raise SourceUnavailable(f"{_so_far(done, total)}: {error}", hint=error.hint) from None
        if changed:
            named = ", ".join(name_of(key, prefix.encode()) for key in changed[:5])
            more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
            raise Refused(
                f"{_so_far(done, total)}: somebody else has changed {named}{more} since the plan was made",
                hint=_AGAIN,
            )
        done += len(steps)
        progress.step(len(steps))


def _so_far(done: int, total: int) -> str:
    return f"{done} of {total} keys are written, and {total - done} are not"
