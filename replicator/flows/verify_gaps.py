"""The record of each gap: it is the epoch's, and fits the states on both of its sides."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from replicator.core import documents, frame, gaps, names
from replicator.core.documents import GapAcknowledged
from replicator.errors import ArchiveDamaged, ObjectMissing
from replicator.flows.findings import BRING_BACK

if TYPE_CHECKING:
    from replicator.core.documents import Epoch, Gap
    from replicator.flows.findings import Findings
    from replicator.ports import ObjectStore

_LOST = "none by revision; but which keys changed across the gap can't be looked up"
_TOLD = "none; but nobody knows any more who took note of the gap"
_AGAIN = "bring it back, or delete it and `replicator gap ack` once more"
_STRAY_ACKNOWLEDGEMENT = "acknowledges a gap that isn't there; it may be deleted"


def look_at_gap(
    store: ObjectStore,
    archive_id: str | None,
    epoch: Epoch,
    digests: tuple[str | None, str | None],
    findings: Findings,
) -> None:
    """Verify the record of the gap before *epoch*, and its acknowledgement.

    Args:
        store: Where the archive is.
        archive_id: As in archive.json; None if that can't be read.
        epoch: The one that follows the gap.
        digests: Digests of the states before and behind the gap; None for one that nobody knows.
        findings: Where to what is found.
    """
    _look_at_acknowledgement(store, epoch, findings)
    if epoch.gap is None:
        return  # opened by a version that wrote none
    try:
        _prove(store, archive_id, epoch, epoch.gap, digests)
    except ObjectMissing:
        findings.damage(epoch.gap.name, f"{epoch.gap.name} is missing", _LOST, BRING_BACK)
    except ArchiveDamaged as damage:
        findings.damage(epoch.gap.name, str(damage), _LOST)


def _prove(
    store: ObjectStore,
    archive_id: str | None,
    epoch: Epoch,
    said: Gap,
    digests: tuple[str | None, str | None],
) -> None:
    body = store.get(said.name)
    header, found, footer = gaps.decode(body, said.name)
    ops = Counter(one.op for one in found)
    same = sum(one.same_value for one in found)
    counts = (ops["created"], ops["updated"], ops["deleted"], same)
    pairs = (
        ("another record than the epoch's", frame.digest_of(body), said.sha256),
        ("under another name than its own", said.name, names.gap_record(epoch.epoch, epoch.observed_at)),
        ("of another epoch", header.epoch, epoch.epoch),
        ("of another archive", header.archive_id, archive_id or header.archive_id),
        ("not of the end that the epoch follows", footer.follows, epoch.follows),
        ("not of the epoch's base", (footer.base, footer.observed_at), (epoch.base, epoch.observed_at)),
        ("of another reason", footer.reason, epoch.reason),
        ("of other counts", (footer.created, footer.updated, footer.deleted, footer.same_value), counts),
        ("of other counts than told", (said.created, said.updated, said.deleted, said.same_value), counts),
        ("of another state before the gap", footer.digest_before, digests[0] or footer.digest_before),
        ("of another state behind the gap", footer.digest_after, digests[1] or footer.digest_after),
    )
    for complaint, is_there, wanted in pairs:
        if is_there != wanted:
            raise ArchiveDamaged(f"{said.name} is damaged: it is {complaint}")


def _look_at_acknowledgement(store: ObjectStore, epoch: Epoch, findings: Findings) -> None:
    name = names.gap_acknowledgement(epoch.epoch)
    try:
        document = documents.decode(GapAcknowledged, store.get(name), name)
    except ObjectMissing:
        return
    except ArchiveDamaged as damage:
        findings.damage(name, str(damage), _TOLD, _AGAIN)
        return
    if document.epoch != epoch.epoch:
        findings.damage(name, f"it acknowledges the gap before epoch {document.epoch}", _TOLD, _AGAIN)
    elif epoch.follows is None:
        findings.note(name, _STRAY_ACKNOWLEDGEMENT)
