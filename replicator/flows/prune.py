"""Thin an archive by its retention rule: a record first, which makes the holes known, then the deletes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replicator.core import documents, objects
from replicator.core.documents import Pruned
from replicator.core.names import PrunedName
from replicator.core.plan import spans
from replicator.core.retention import Holdings, thin
from replicator.errors import ArchiveDamaged, ObjectExists, ObjectMissing
from replicator.flows.open_archive import log, merged, open_archive, snapshots, thinned_through
from replicator.flows.points import list_points
from replicator.flows.progress import UNWATCHED, stepping

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from replicator.core.documents import Point
    from replicator.core.names import SnapshotName
    from replicator.core.plan import Span
    from replicator.core.retention import RetentionRule, Thinning
    from replicator.flows.progress import Progress
    from replicator.ports import Clock, ObjectStore


@dataclass(frozen=True, slots=True)
class Pruning:
    """What is to go, and what was looked at for it.

    Attributes:
        now: The moment that ages were counted from: the clock's, but never later than the archive is known.
        archive: What each epoch holds; snapshots that were found damaged aren't among it.
        thinnings: What goes of each epoch.
        damaged: Snapshots that can't be relied on. They stay where they are.
    """

    now: datetime
    archive: tuple[Holdings, ...]
    thinnings: tuple[Thinning, ...]
    damaged: tuple[ArchiveDamaged, ...] = ()

    @property
    def doomed(self) -> list[str]:
        """Names of all objects that are to go."""
        return [str(name) for part in self.thinnings for name in (*part.pieces, *part.snapshots)]


def plan_pruning(store: ObjectStore, rule: RetentionRule, clock: Clock) -> Pruning:
    """Return what *rule* takes of the archive in *store*; nothing is deleted.

    Each snapshot that more will depend on than before is read: what a damaged one would have to carry stays.
    It costs four LISTs for each epoch, and one more for each thousand names.

    Raises:
        UsageError: There is no archive in *store*.
        ArchiveDamaged: The document of a named point is: nobody knows what it needs.
    """
    opened = open_archive(store)
    points = list_points(store)
    archive = tuple(_holdings(store, span, points) for span in spans(opened.epochs))
    known = max(name.observed_at for holdings in archive[-1:] for name in holdings.snapshots)
    if opened.checkpoint is not None:
        known = max(known, opened.checkpoint.observed_through)
    now = min(clock.now(), known)
    damaged: list[ArchiveDamaged] = []
    whole: set[SnapshotName] = set()
    while True:
        thinnings = tuple(thin(archive, rule, now))
        bad = _damaged(store, thinnings, whole, damaged)
        if not bad:
            return Pruning(now, archive, thinnings, tuple(damaged))
        archive = tuple(
            replace(one, snapshots=tuple(name for name in one.snapshots if name not in bad))
            for one in archive
        )


def prune(
    store: ObjectStore,
    rule: RetentionRule,
    clock: Clock,
    pruning: Pruning,
    progress: Progress = UNWATCHED,
) -> list[str]:
    """Delete what *pruning* says, but for what points made since then need; return what went.

    *progress* hears of each object.

    Safe to interrupt anywhere, and to be done by several at once: the next pass takes up what is left.

    Raises:
        StoreUnavailable: What was deleted until then is gone, and known as thinned.
    """
    pruned_at = clock.now()
    for part in pruning.thinnings:
        if part.pieces or part.snapshots:
            name = PrunedName(part.epoch, part.through, pruned_at)
            with suppress(ObjectExists):  # another's of this very moment: what counts is its name
                store.create(str(name), documents.encode(_record(name, part, rule)))
    # A point that isn't seen here was made behind the record, which its maker then sees.
    points = list_points(store)
    archive = [replace(one, points=_points_in(one.span, points)) for one in pruning.archive]
    spared = replace(pruning, thinnings=tuple(thin(archive, rule, pruning.now)))
    doomed_still = set(spared.doomed)
    deleted = [name for name in pruning.doomed if name in doomed_still]
    progress.expect(len(deleted))
    for doomed in stepping(deleted, progress):
        store.delete(doomed)
    return deleted


def _holdings(store: ObjectStore, span: Span, points: Sequence[Point]) -> Holdings:
    number = span.epoch.epoch
    return Holdings(
        span=span,
        snapshots=tuple(filter(span.counts, snapshots(store, span.epoch))),
        pieces=(*log(store, number), *merged(store, number)),
        points=_points_in(span, points),
    )


def _points_in(span: Span, points: Sequence[Point]) -> frozenset[int]:
    return frozenset(point.position.revision for point in points if point.position.epoch == span.epoch.epoch)


def _damaged(
    store: ObjectStore,
    thinnings: Sequence[Thinning],
    whole: set[SnapshotName],
    damaged: list[ArchiveDamaged],
) -> set[SnapshotName]:
    """Return which of the snapshots that more will depend on can't be read; note the others in *whole*."""
    bad = set()
    for part in thinnings:
        before = thinned_through(store, part.epoch) if part.pieces or part.snapshots else part.through + 1
        for name in part.carriers:
            if name.revision < before or name in whole:
                continue
            try:
                objects.decode_snapshot(store.get(str(name)), str(name))
                whole.add(name)
            except ObjectMissing:
                bad.add(name)
                damaged.append(ArchiveDamaged(f"{name} is missing"))
            except ArchiveDamaged as error:
                bad.add(name)
                damaged.append(error)
    return bad


def _record(name: PrunedName, part: Thinning, rule: RetentionRule) -> Pruned:
    return Pruned(
        epoch=part.epoch,
        through=part.through,
        pruned_at=name.pruned_at,
        rule={
            "full": rule.full.total_seconds(),
            "daily": None if rule.daily is None else rule.daily.total_seconds(),
        },
        snapshots=len(part.snapshots),
        pieces=len(part.pieces),
    )
