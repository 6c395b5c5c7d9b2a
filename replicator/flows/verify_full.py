"""The archive against itself: everything is read, folded anew, and compared with what it promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from replicator.core import documents, names
from replicator.core.documents import Archive, Checkpoint, Epoch
from replicator.core.names import LogName, SnapshotName, epoch_document
from replicator.core.plan import Span
from replicator.core.quantities import format_time
from replicator.errors import ArchiveDamaged, ObjectMissing, UsageError
from replicator.flows.findings import NOTHING_LOST, Damage, Findings, Note, Reading, Verified
from replicator.flows.inventory import note_strays, take_inventory
from replicator.flows.progress import UNWATCHED
from replicator.flows.verify_epoch import EpochWalk
from replicator.flows.verify_gaps import look_at_gap
from replicator.flows.verify_points import Wanted, look_at_pruned, read_points

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replicator.core.documents import Point
    from replicator.flows.inventory import Inventory
    from replicator.flows.progress import Progress
    from replicator.ports import ObjectStore

_ALL = "all: no restore begins without it"


class Full(msgspec.Struct, frozen=True, kw_only=True):
    """What ``verify --full`` found; clean if there is no damage."""

    verified: Verified
    damages: tuple[Damage, ...]
    notes: tuple[Note, ...]


def verify_full(store: ObjectStore, progress: Progress = UNWATCHED) -> Full:
    """Return all that is wrong with the archive in *store*.

    In memory are one state and a few objects, however long the history. It may go on growing meanwhile.

    Args:
        store: Where the archive is.
        progress: Hears of each object that is read.

    Raises:
        UsageError: There is no archive.
        StoreUnavailable: The store is away.
    """
    reading, findings = Reading(store, progress), Findings()
    archive = _archive(reading, findings)
    # The checkpoint before everything that it promises, the list of names before the epochs.
    checkpoint = _checkpoint(reading, findings)
    inventory = take_inventory(store, findings)
    progress.expect(inventory.objects)
    found = dict(_epochs(reading, inventory, findings))
    if not found and (checkpoint is None or checkpoint.position.epoch == 0):
        raise UsageError("nothing was recorded in this archive yet: it has no epoch", hint="replicator run")
    if all(found.values()):
        note_strays(inventory, [epoch for epoch in found.values() if epoch], findings)
    _Walks(reading, archive, found, findings).walk(read_points(reading, findings))
    _promise(checkpoint, found, findings)
    return Full(
        verified=findings.verified(reading), damages=tuple(findings.damages), notes=tuple(findings.notes)
    )


class _Walks:
    """Walks all epochs that were *found*, and looks at what stands between them and beside them."""

    def __init__(
        self, store: ObjectStore, archive: Archive | None, found: dict[int, Epoch | None], findings: Findings
    ) -> None:
        self._store = store
        self._archive_id = archive.archive_id if archive else None
        self._found = found
        self._findings = findings

    def walk(self, points: Sequence[Point]) -> None:
        """Walk; *points* are to lie on the way."""
        before: str | None = None
        for number, epoch in self._found.items():
            wanted = Wanted((point for point in points if point.position.epoch == number), self._findings)
            before = self._walk(number, epoch, before, wanted) if epoch is not None else None
            wanted.tell()
        Wanted((point for point in points if point.position.epoch not in self._found), self._findings).tell()

    def _walk(self, number: int, epoch: Epoch, before: str | None, wanted: Wanted) -> str | None:
        """Walk an epoch; *before* is the digest of the state at the end of the one before it, if known.

        Returns the digest of the state at its own end, if that is known.
        """
        following = self._found.get(number + 1)
        if not _fit(number, epoch, following, self._findings):
            return None
        look_at_pruned(self._store, number, self._findings)
        walk = EpochWalk(self._store, self._archive_id, Span(epoch, following), wanted, self._findings)
        walk.walk()
        look_at_gap(self._store, self._archive_id, epoch, (before, walk.base_digest), self._findings)
        return walk.end_digest


def _archive(store: ObjectStore, findings: Findings) -> Archive | None:
    try:
        return documents.decode(Archive, store.get(names.ARCHIVE), names.ARCHIVE)
    except ObjectMissing:
        if next(iter(store.names("e0")), None) is None:
            raise UsageError(
                f"there is no archive at {store}: archive.json is missing", hint="check the location"
            ) from None
        findings.damage(names.ARCHIVE, "archive.json is missing", _ALL)
    except ArchiveDamaged as damage:
        findings.damage(names.ARCHIVE, str(damage), _ALL)
    return None


def _checkpoint(store: ObjectStore, findings: Findings) -> Checkpoint | None:
    try:
        return documents.decode(Checkpoint, store.get(names.CHECKPOINT), names.CHECKPOINT)
    except ObjectMissing:
        findings.note(names.CHECKPOINT, "the checkpoint is missing: it is a hint, and `run` writes it anew")
    except ArchiveDamaged:
        findings.note(names.CHECKPOINT, "the checkpoint is damaged: it is a hint, and `run` writes it anew")
    return None


def _epochs(
    store: ObjectStore, inventory: Inventory, findings: Findings
) -> Iterator[tuple[int, Epoch | None]]:
    """Yield each epoch's number and document, None for one that can't be read."""
    listed = sorted(inventory.documents | inventory.logs)
    number = 1
    while True:
        name = epoch_document(number)
        further = next((each for each in listed if each > number), None)
        try:
            yield number, documents.decode(Epoch, store.get(name), name)
        except ObjectMissing:
            if further is None and number not in inventory.logs:
                return
            findings.damage(name, f"{name} is missing", f"all of epoch {number} and of those after it")
            yield number, None
            if further is None:
                return
            number = further  # a stray name could make it millions
            continue
        except ArchiveDamaged as damage:
            findings.damage(name, f"{damage}; the epoch's log was not looked into", _ALL)
            yield number, None
        number += 1


def _fit(number: int, epoch: Epoch, following: Epoch | None, findings: Findings) -> bool:
    """Compare the document of epoch *number* with its place, and with the document after it.

    Returns whether it is that epoch's at all.
    """
    base = SnapshotName(number, epoch.base, epoch.observed_at, is_base=True)
    if epoch.epoch != number or epoch.snapshot != str(base):
        what = f"it is the document of epoch {epoch.epoch}, or names another base than its own"
        findings.damage(epoch_document(number), what, f"all of epoch {number}")
        return False
    if number == 1 and epoch.follows is not None:
        findings.damage(epoch_document(1), "it follows another, though it is the first", NOTHING_LOST)
    if following is None:
        return True
    name, end = epoch_document(number + 1), following.follows
    if end is None or end.position.epoch != number:
        findings.damage(name, f"it doesn't follow epoch {number}", NOTHING_LOST)
    elif following.observed_at <= end.observed_through:
        findings.damage(
            name, "it begins before the epoch before it ends", "none by revision; times near it may be off"
        )
    return True


def _promise(checkpoint: Checkpoint | None, found: dict[int, Epoch | None], findings: Findings) -> None:
    """Compare what the checkpoint promises with what there is."""
    if checkpoint is None:
        return
    position, last = checkpoint.position, max(found, default=0)
    if position.epoch > last:
        name = epoch_document(last + 1)
        lost = f"all of epoch {position.epoch}"
        findings.damage(name, f"{name} is missing: the checkpoint lies in epoch {position.epoch}", lost)
    elif findings.end and position.epoch == findings.end.epoch and position > findings.end:
        name = str(LogName(position.epoch, findings.end.revision))
        if not findings.is_cut:
            findings.damage(
                name,
                f"{name} is missing: the checkpoint tells of revision {position.revision}",
                f"after revision {findings.end.revision}, until {format_time(checkpoint.observed_through)}",
            )
