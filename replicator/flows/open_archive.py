"""Open an archive for reading: its identity, its epochs, and the writer's last word."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from replicator.core import documents, names
from replicator.core.documents import Archive, Checkpoint, Epoch
from replicator.core.frame import DAMAGE_HINT
from replicator.core.limits import EPOCHS
from replicator.core.names import SnapshotName
from replicator.core.pieces import path
from replicator.errors import ArchiveDamaged, ObjectMissing, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from replicator.core.names import LogName, MergedName, PieceName
    from replicator.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Opened:
    """What an archive says of itself; *epochs* in order, at least one."""

    archive: Archive
    epochs: tuple[Epoch, ...]
    checkpoint: Checkpoint | None


def open_archive(store: ObjectStore) -> Opened:
    """Return what the archive in *store* says of itself.

    Raises:
        UsageError: There is no archive, or nothing was ever recorded in it.
        ArchiveDamaged: One of its documents is.
    """
    archive = read_archive(store)
    if archive is None:
        raise UsageError(
            f"there is no archive at {store}: archive.json is missing",
            hint="check the location; `replicator run` makes an archive",
        )
    # The checkpoint comes first: what is read after it is at least as new.
    checkpoint = read_checkpoint(store)
    epochs = tuple(read_epochs(store))
    if not epochs:
        raise UsageError(
            "nothing was recorded in this archive yet: it has no epoch",
            hint="start `replicator run`, and look at what it says",
        )
    if checkpoint is not None and checkpoint.position.epoch > len(epochs):
        raise ArchiveDamaged(
            f"{names.epoch_document(len(epochs) + 1)} is missing: the checkpoint lies in epoch "
            f"{checkpoint.position.epoch}",
            hint="bring the object back from a replica or an older version of the bucket",
        )
    return Opened(archive, epochs, checkpoint)


def read_archive(store: ObjectStore) -> Archive | None:
    """Return the archive's identity, or None if nobody made one here."""
    try:
        return documents.decode(Archive, store.get(names.ARCHIVE), names.ARCHIVE)
    except ObjectMissing:
        return None


def read_checkpoint(store: ObjectStore) -> Checkpoint | None:
    """Return the writer's last word, or None. It is a hint: damaged is as good as none."""
    try:
        return documents.decode(Checkpoint, store.get(names.CHECKPOINT), names.CHECKPOINT)
    except (ObjectMissing, ArchiveDamaged, UsageError):  # a flipped bit may name a key that nobody has
        return None


def read_epochs(store: ObjectStore) -> Iterator[Epoch]:
    """Yield all epochs in order; their numbers have no holes.

    Raises:
        ArchiveDamaged: One of them is damaged, is another's, or there are more than anybody has opened.
    """
    for number in count(1):
        name = names.epoch_document(number)
        try:
            epoch = documents.decode(Epoch, store.get(name), name)
        except ObjectMissing:
            return
        if number > EPOCHS:
            raise ArchiveDamaged(f"the archive has more than {EPOCHS} epochs", hint=DAMAGE_HINT)
        if epoch.epoch != number:
            raise ArchiveDamaged(f"{name} holds another epoch: number {epoch.epoch}", hint=DAMAGE_HINT)
        yield epoch


def snapshots(store: ObjectStore, epoch: Epoch) -> Iterator[SnapshotName]:
    """Yield the names of *epoch*'s snapshots, by revision, the base first unless retention took it."""
    base = SnapshotName(epoch.epoch, epoch.base, epoch.observed_at, is_base=True)
    listed = list(store.names(names.snapshot_folder(epoch.epoch)))
    if str(base) in listed or thinned_through(store, epoch.epoch) <= epoch.base:
        yield base  # if it isn't there it should be, and that will be told
    yield from filter(None, map(names.parse_snapshot, listed))


def log(store: ObjectStore, epoch: int, since: int = 0) -> Iterator[LogName]:
    """Yield the names of *epoch*'s segments that start after revision *since* or later, in order."""
    last_before = str(names.LogName(epoch, since - 1)) if since > 0 else ""
    return filter(None, map(names.parse_log, store.names(names.log_folder(epoch), last_before)))


def merged(store: ObjectStore, epoch: int) -> Iterator[MergedName]:
    """Yield the names of *epoch*'s merged objects, by the revision that they start after."""
    return filter(None, map(names.parse_merged, store.names(names.merged_folder(epoch))))


def pieces(
    store: ObjectStore, epoch: int, since: int = 0, without: Collection[MergedName] = ()
) -> Iterator[PieceName]:
    """Yield the pieces of *epoch*'s log that lead on from revision *since*, as `core.pieces.path` chooses.

    Merged objects in *without* are left out of account: they are damaged. The others are listed at once, the
    segments as they are asked for: a LIST for each thousand.
    """
    spans = [name for name in merged(store, epoch) if name not in without]
    return path(spans, log(store, epoch, since), since)


def is_overtaken(store: ObjectStore, epoch: int, revision: int) -> bool:
    """Tell whether *epoch*'s log goes on behind *revision*, though the segment that starts there is missing.

    For a follower that has met an ObjectMissing: it is then to go on with `pieces` from where it stands,
    since what it waits for was merged. It costs LISTs, so ask when the checkpoint says that the log is
    longer, and not at each poll.
    """
    return next(pieces(store, epoch, revision), None) is not None


def thinned_through(store: ObjectStore, epoch: int) -> int:
    """Return the revision before which retention has thinned *epoch*'s log; 0 if it hasn't."""
    records = filter(None, map(names.parse_pruned, store.names(names.pruned_folder(epoch))))
    return max((record.through for record in records), default=0)
