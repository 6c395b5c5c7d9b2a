"""Merge what can be merged, in all epochs of an archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.core.plan import spans
from replicator.flows.merge import Merged, Merger
from replicator.flows.open_archive import open_archive, snapshots
from replicator.flows.progress import UNWATCHED

if TYPE_CHECKING:
    from replicator.flows.merge import MergeRules
    from replicator.flows.progress import Progress
    from replicator.ports import Clock, ObjectStore


def compact(store: ObjectStore, rules: MergeRules, clock: Clock, progress: Progress = UNWATCHED) -> Merged:
    """Merge the segments of each epoch up to its newest snapshot, and delete what was merged before.

    Called again, it does nothing until there are more segments, or a grace time is over. *progress* hears of
    each object that is merged or deleted.

    Raises:
        UsageError: There is no archive in *store*.
        ArchiveDamaged: A piece of the log is. What was done until then stays.
    """
    opened, merger, done = open_archive(store), Merger(store, rules, clock), Merged()
    for span in spans(opened.epochs):
        if span.end is not None:
            through = span.end.position.revision
        else:
            through = max(name.revision for name in snapshots(store, span.epoch))
        part = merger.tidy(span.epoch.epoch, through, progress)
        done.made += part.made
        done.deleted += part.deleted
        done.waiting += part.waiting
        done.damaged += part.damaged
    return done
