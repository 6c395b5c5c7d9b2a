"""The archive against etcd: what both hold at one revision is compared key by key."""

from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from replicator.apisix.report import shown
from replicator.core.plan import AtRevision, Thinned
from replicator.errors import Compacted, UsageError
from replicator.flows.open_archive import thinned_through
from replicator.flows.progress import UNWATCHED, stepping
from replicator.flows.restore import restore
from replicator.flows.survey import survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replicator.core.records import Record
    from replicator.flows.progress import Progress
    from replicator.flows.survey import Coverage
    from replicator.ports import ObjectStore, Source, SourceStatus

# How many keys are named for each revision; all are counted.
_NAMED = 100

Pair = tuple[bytes, "Record"]


class KeyDifference(msgspec.Struct, frozen=True):
    """A key, and how the archive and etcd differ in it; never a value."""

    key: str
    how: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One revision, compared whole.

    Attributes:
        revision: etcd's revision.
        keys: How many keys etcd holds there; None if the revision was compacted or thinned meanwhile.
        differing: How many keys differ.
        differences: The first of them.
    """

    revision: int
    keys: int | None
    differing: int = 0
    differences: tuple[KeyDifference, ...] = ()


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """What ``verify --live`` found; alike if nothing is in *faults* and no comparison has differences.

    Attributes:
        cluster_id: etcd's cluster, in hexadecimal.
        head: etcd's revision.
        through: etcd's revision up to which the archive is known.
        lag_revisions: How many revisions etcd is ahead, other prefixes' included.
        first_held: The first revision of the newest epoch that etcd still holds, and from which on the
            archive was never thinned; what lies before it can't be compared. None if there is none.
        comparisons: What was compared, by revision.
        faults: What can't be right.
    """

    cluster_id: str
    head: int
    through: int
    lag_revisions: int
    first_held: int | None
    comparisons: tuple[Comparison, ...]
    faults: tuple[str, ...]

    @property
    def is_alike(self) -> bool:
        """Whether nothing differs."""
        return not self.faults and not any(one.differing for one in self.comparisons)


def verify_live(
    source: Source,
    prefix: str,
    store: ObjectStore,
    samples: int,
    seed: int,
    progress: Progress = UNWATCHED,
) -> Live:
    """Return how the newest epoch in *store* and *source* compare; *progress* hears of each comparison.

    Compared are the newest revision that both know, and *samples* others, chosen by *seed* among those that
    both hold. Each costs a restore, and a whole read of etcd.

    Raises:
        UsageError: There is no archive, or it records another prefix.
        ArchiveDamaged: A revision can't be restored.
        SourceUnavailable: etcd is away, or refuses us.
        StoreUnavailable: The store is away.
    """
    found = survey(store)
    if found.archive.prefix != prefix:
        raise UsageError(
            f"the archive records the prefix {found.archive.prefix}, and etcd.prefix is {prefix}",
            hint="set etcd.prefix to the archive's",
        )
    status, newest = source.status(), found.coverage[-1]
    through = newest.reach.through_revision
    # What retention has thinned can't be restored, though etcd may hold it still.
    first = max(newest.epoch.base, thinned_through(store, newest.epoch.epoch))
    last = min(status.head, through)
    first_held = _first_held(source, first, last)
    chosen = [] if first_held is None else _choose(first_held, last, samples, seed)
    progress.expect(len(chosen))
    return Live(
        cluster_id=status.cluster_id,
        head=status.head,
        through=through,
        lag_revisions=max(0, status.head - through),
        first_held=first_held,
        comparisons=tuple(_compare(source, store, revision) for revision in stepping(chosen, progress)),
        faults=tuple(_faults(status, newest)),
    )


def _faults(status: SourceStatus, newest: Coverage) -> Iterator[str]:
    epoch, end = newest.epoch, newest.reach.through_revision
    if status.cluster_id != epoch.cluster_id:
        yield f"etcd's cluster is {status.cluster_id}, and epoch {epoch.epoch} is of {epoch.cluster_id}"
    if status.head < end:
        yield f"etcd stands at revision {status.head}, before the archive's end at {end}: it was set back"


def _first_held(source: Source, first: int, last: int) -> int | None:
    """Return the first revision from *first* to *last* that etcd can still show: it forgets the oldest."""
    if last < first or not _is_held(source, last):
        return None
    low, high = first, last
    while low < high:
        middle = (low + high) // 2
        if _is_held(source, middle):
            high = middle
        else:
            low = middle + 1
    return low


def _is_held(source: Source, revision: int) -> bool:
    try:
        list(islice(source.read(revision), 1))
    except Compacted:
        return False
    return True


def _choose(first: int, last: int, samples: int, seed: int) -> list[int]:
    """Return *last*, and up to *samples* others from *first* on, in order."""
    others = range(first, last)
    return [*sorted(random.Random(seed).sample(others, min(samples, len(others)))), last]


def _compare(source: Source, store: ObjectStore, revision: int) -> Comparison:
    keys, differing, named = 0, 0, []
    try:
        state = restore(store, AtRevision(revision)).state
        for key, ours, theirs in _side_by_side(state.items(), source.read(revision)):
            keys += theirs is not None
            if ours != theirs:
                differing += 1
                if differing <= _NAMED:
                    named.append(KeyDifference(shown(key), _how(ours, theirs)))
    except (Compacted, Thinned):
        return Comparison(revision=revision, keys=None)
    return Comparison(revision=revision, keys=keys, differing=differing, differences=tuple(named))


def _side_by_side(
    ours: Iterable[Pair], theirs: Iterable[Pair]
) -> Iterator[tuple[bytes, Record | None, Record | None]]:
    """Yield each key of either, with both records; both come in byte order of the keys."""
    left, right = iter(ours), iter(theirs)
    mine, other = next(left, None), next(right, None)
    while mine is not None or other is not None:
        if other is None or (mine is not None and mine[0] < other[0]):
            yield mine[0], mine[1], None  # type: ignore[index] # one of them is there
            mine = next(left, None)
        elif mine is None or other[0] < mine[0]:
            yield other[0], None, other[1]
            other = next(right, None)
        else:
            yield mine[0], mine[1], other[1]
            mine, other = next(left, None), next(right, None)


def _how(ours: Record | None, theirs: Record | None) -> str:
    if theirs is None:
        return "only in the archive"
    if ours is None:
        return "only in etcd"
    fields = [name for name in ours.__struct_fields__ if getattr(ours, name) != getattr(theirs, name)]
    return f"other {', '.join(fields)}"
