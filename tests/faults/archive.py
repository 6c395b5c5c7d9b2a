"""An archive as a run has left it, read for the judge: what each epoch says of each revision."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from memory_store import MemoryStore

from replicator.core import objects
from replicator.core.merged import decode_piece
from replicator.errors import ArchiveDamaged, ObjectMissing
from replicator.flows.open_archive import open_archive, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from replicator.core.documents import Epoch
    from replicator.core.objects import Segment
    from replicator.core.records import Record
    from replicator.ports import ObjectStore


@dataclass(frozen=True)
class Recorded:
    """An epoch.

    Attributes:
        number: Its number.
        reason: Why it was opened.
        base: The revision that it begins with.
        state: What is held there.
        changes: What each later revision did, in order.
        stamps: Those of the base and of each revision, in order.
        end: The last revision that changed anything.
        through: The last one that is known.
    """

    number: int
    reason: str
    base: int
    state: dict[bytes, Record]
    changes: list[tuple[int, dict[bytes, Record | None]]]
    stamps: list[datetime]
    end: int
    through: int


class Saving:
    """Passes all on to *store*; what is deleted there is put into *saved* before."""

    def __init__(self, store: ObjectStore, saved: dict[str, bytes]) -> None:
        self._store, self._saved = store, saved
        self.create, self.get, self.names = store.create, store.get, store.names
        self.replace = store.replace

    def delete(self, name: str) -> None:
        """Delete an object; that it is gone already is no error."""
        with suppress(ObjectMissing):
            self._saved[name] = self._store.get(name)
        self._store.delete(name)


def copied(store: ObjectStore, others: Mapping[str, bytes] = MappingProxyType({})) -> MemoryStore:
    """Return all objects of *store*, and *others*, in memory."""
    copy = MemoryStore()
    copy.objects = {**others, **{name: store.get(name) for name in store.names("")}}
    return copy


def recorded(store: ObjectStore) -> Iterator[Recorded]:
    """Yield the archive's epochs.

    Raises:
        ArchiveDamaged: A log is no chain, or a state isn't what its digest says.
    """
    opened = open_archive(store)
    for number, epoch in enumerate(opened.epochs):
        following = opened.epochs[number + 1].follows if number + 1 < len(opened.epochs) else None
        last = following.position.revision if following else None
        base = objects.decode_snapshot(store.get(epoch.snapshot), epoch.snapshot)
        batches = [
            batch
            for segment in _chain(store, epoch, base, last)
            for batch in segment.batches
            if last is None or batch.revision <= last
        ]
        end = batches[-1].revision if batches else epoch.base
        yield Recorded(
            epoch.epoch,
            epoch.reason,
            epoch.base,
            dict(base.state.items()),
            [(batch.revision, {each.key: each.record for each in batch.events}) for batch in batches],
            [epoch.observed_at, *(batch.observed_at for batch in batches)],
            end,
            following.through_revision if following else end,
        )


def _chain(store: ObjectStore, epoch: Epoch, base: objects.Snapshot, last: int | None) -> Iterator[Segment]:
    """Yield the segments of *epoch*'s log up to revision *last*, each behind the one before."""
    position, anchor = epoch.base, base.footer.anchor(base.digest)
    for name in pieces(store, epoch.epoch, epoch.base):
        for segment in decode_piece(store.get(str(name)), name):
            if segment.header.revision < position:
                continue  # a stale writer's, or held twice
            if last is not None and position >= last:
                return
            if (segment.header.revision, segment.footer.previous) != (position, anchor):
                raise ArchiveDamaged(f"{name}: {segment.header.revision} doesn't continue {position}")
            yield segment
            position, anchor = segment.footer.last_revision, segment.digest
