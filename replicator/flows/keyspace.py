"""One moment's keys: of an archive, or of etcd now; and what two moments differ in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.core.state import State
from replicator.errors import Compacted
from replicator.flows.changes import KeyChange
from replicator.flows.progress import UNWATCHED
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from replicator.core.plan import Target
    from replicator.flows.progress import Progress
    from replicator.ports import ObjectStore, Source

_READS = 3  # how often etcd is read anew if it compacts what is being read


@dataclass(frozen=True, slots=True)
class Keyspace:
    """The keys of one moment.

    Attributes:
        state: Every key.
        epoch: Whose revisions they are; None for etcd's own.
        observed_at: The stamp of the last revision; None for etcd now.
        late_by_s: By how many seconds the answer to a time may be off; 0 if all was seen live.
    """

    state: State
    epoch: int | None = None
    observed_at: datetime | None = None
    late_by_s: float = 0.0


def at(store: ObjectStore, target: Target, progress: Progress = UNWATCHED) -> Keyspace:
    """Return the archive's keys at *target*, proved; *progress* hears of each object of the log.

    Raises:
        UsageError: There is no archive in *store*.
        TargetNotRestorable: The archive doesn't cover the target.
        ArchiveDamaged: What is needed for it is missing, or isn't what was written.
    """
    found = restore(store, target, progress=progress)
    return Keyspace(found.state, found.epoch.epoch, found.replay.observed_at, found.late_by.total_seconds())


def live(source: Source) -> Keyspace:
    """Return etcd's keys at its head, all of one revision.

    Raises:
        SourceUnavailable: etcd doesn't answer, or not so quickly that it still knows that revision.
    """
    for attempt in range(_READS):
        state = State(source.status().head)
        try:
            for key, record in source.read(state.revision):
                state.add(key, record)
        except Compacted:
            if attempt == _READS - 1:
                raise
            continue
        return Keyspace(state)
    raise AssertionError("unreachable")


def differing(before: State, after: State) -> Iterator[KeyChange]:
    """Yield each key whose value isn't the same in both, or that only one has; in byte order."""
    others = iter(after.items())
    other = next(others, None)
    for key, record in before.items():
        while other is not None and other[0] < key:
            yield KeyChange(other[0], None, other[1])
            other = next(others, None)
        if other is None or other[0] != key:
            yield KeyChange(key, record, None)
            continue
        if other[1].value != record.value:
            yield KeyChange(key, record, other[1])
        other = next(others, None)
    while other is not None:
        yield KeyChange(other[0], None, other[1])
        other = next(others, None)
