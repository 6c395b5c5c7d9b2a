"""Which gap is fair: etcd lost what nobody could record."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from faults.oracle import Change
    from faults.replica import Replica

# A replica that has a change for so long has it on disk, or in the store.
_TO_DISK_S = 1.0

_ENDS = {
    "KILLED",
    "SUSPENDED",
    "ENDED",
    "FULL",
    "capture.stopped",
    "lineage.broken",
    "term.failed",
    "watch.lost",
    "writer.fenced",
}


def runs_of(changes: Iterable[Change], covered: Container[Change]) -> Iterator[tuple[bool, list[Change]]]:
    """Yield runs of neighbours that all are in *covered*, or all aren't."""
    for is_covered, run in itertools.groupby(changes, covered.__contains__):
        yield is_covered, list(run)


def witness(change: Change, forgotten_at: float, replicas: Iterable[Replica]) -> str | None:
    """Return who should have recorded *change*, which the archive hasn't; None if it is fair that it isn't.

    A replica should have it that followed etcd from before the change until it was forgotten, and a while
    longer; whatever befell it later, or the store at any time.
    """
    until = max(forgotten_at, change.seen_at) + _TO_DISK_S
    for replica in replicas:
        for begin, end in recordings(replica):
            if begin <= change.seen_at and end >= until:
                return f"{replica.name} followed etcd from {begin:.2f} to {end:.2f}"
    return None


def is_hasty(change: Change, lost_at: float) -> bool:
    """Tell whether etcd's data were lost so soon after *change* that nobody need have heard of it."""
    return lost_at - change.seen_at < _TO_DISK_S


def recordings(replica: Replica) -> Iterator[tuple[float, float]]:
    """Yield from when to when the replica followed etcd, with nothing in its way."""
    begin: float | None = None
    for moment in sorted(replica.timeline):
        if moment.what == "watch.started" and begin is None:
            begin = moment.at
        elif moment.what in _ENDS and begin is not None:
            yield begin, moment.at
            begin = None
    if begin is not None:
        yield begin, float("inf")
