"""Which gap is fair: etcd lost what nobody could record."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from faults.oracle import Change
    from faults.replica import Moment, Replica

# A replica that has a change for so long has it on disk, or in the store.
_TO_DISK_S = 1.0

# A silent etcd is noticed within 8 s; the machine is busy.
_SILENCE_S = 15.0

_PROGRESS = "watch.progressed"

# With these a full disk has room again: the limit was its process's.
_EMPTY = {"FREE", "STARTED"}

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


@dataclass(frozen=True)
class Span:
    """A time in which a replica followed etcd: what came after revision *after*, as *signs* say how far."""

    begin: float
    end: float
    after: int
    signs: list[Moment]


def runs_of(changes: Iterable[Change], covered: Container[Change]) -> Iterator[tuple[bool, list[Change]]]:
    """Yield runs of neighbours that all are in *covered*, or all aren't."""
    for is_covered, run in itertools.groupby(changes, covered.__contains__):
        yield is_covered, list(run)


def witness(change: Change, lost_at: float | None, replicas: Iterable[Replica]) -> str | None:
    """Return who has seen *change*, which the archive hasn't; None if nobody had the time to keep it.

    A replica says how far it has seen etcd. What it saw, and had a second for, is on its disk or in the
    store, whatever befalls it later, or the store at any time.

    Args:
        change: It.
        lost_at: When etcd lost its data, with the change in them; None if it didn't.
        replicas: All.
    """
    for replica in replicas:
        for span in recordings(replica):
            if change.revision <= span.after:
                continue
            for moment in span.signs:
                # Another history may have the same revision.
                is_of_it = change.seen_at <= moment.at < (lost_at or float("inf"))
                if is_of_it and moment.revision >= change.revision and moment.at <= span.end - _TO_DISK_S:
                    return f"{replica.name} had seen {span.after} to {moment.revision} at {moment.at:.2f}"
    return None


def stalls(replica: Replica) -> Iterator[str]:
    """Yield when the replica followed etcd, as it seemed, and said nothing of it for too long."""
    for span in recordings(replica):
        moments = [span.begin, *(sign.at for sign in span.signs), min(span.end, replica.timeline[-1].at)]
        for one, other in pairwise(moments):
            if other - one > _SILENCE_S:
                yield f"{replica.name} said nothing of etcd from {one:.2f} to {other:.2f}"


def is_hasty(change: Change, lost_at: float) -> bool:
    """Tell whether etcd's data were lost so soon after *change* that nobody need have heard of it."""
    return lost_at - change.seen_at < _TO_DISK_S


def recordings(replica: Replica) -> Iterator[Span]:
    """Yield when the replica followed etcd, with nothing in its way."""
    begin: Moment | None = None
    is_full = False
    for moment in sorted(replica.timeline):
        is_full = moment.what == "FULL" or (is_full and moment.what not in _EMPTY)
        if moment.what == "watch.started" and begin is None and not is_full:
            begin = moment
        elif moment.what in _ENDS and begin is not None:
            yield _span(replica, begin, moment.at)
            begin = None
    if begin is not None:
        yield _span(replica, begin, float("inf"))


def _span(replica: Replica, begin: Moment, end: float) -> Span:
    signs = [each for each in replica.timeline if each.what == _PROGRESS and begin.at <= each.at <= end]
    return Span(begin.at, end, begin.revision, signs)
