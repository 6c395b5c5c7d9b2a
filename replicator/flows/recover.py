"""Take up what an earlier process left in its spool: changes that etcd may have forgotten by now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.core import names, objects
from replicator.core.frame import digest_of
from replicator.core.plan import AtRevision
from replicator.core.rebase import beyond
from replicator.core.records import size_bytes
from replicator.core.state import GapInLog, replay
from replicator.errors import ArchiveDamaged, TargetNotRestorable
from replicator.flows.restore import restore
from replicator.flows.spool import Entry
from replicator.flows.tip import Watermark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from structlog.typing import FilteringBoundLogger

    from replicator.core.objects import Segment
    from replicator.flows.tip import Tip
    from replicator.ports import ObjectStore


def recover(
    tip: Tip, places: Sequence[ObjectStore], store: ObjectStore, log: FilteringBoundLogger
) -> list[Entry]:
    """Step *tip* over all in *places* that continues it, and return that, in order, to be stored.

    What the log in *store* holds already is deleted. What can't continue it (another epoch was opened
    since, or a piece is missing) is told and left alone: nothing but this spool may know of it.

    Raises:
        StoreUnavailable: The disk can't be read.
    """
    kept = []
    for entry in sorted(_entries(places, log), key=lambda entry: (entry.name, -entry.footer.last_revision)):
        if _step(tip, entry):
            kept.append(entry)
        elif entry.place is not None and _is_stored(store, tip, entry):
            entry.place.delete(str(entry.name))
        else:
            log.error("spool.set_aside", object=str(entry.name), spool=str(entry.place))
    if kept:
        log.warning("spool.recovered", segments=len(kept), revision=tip.state.revision)
    return kept


def _entries(places: Sequence[ObjectStore], log: FilteringBoundLogger) -> Iterator[Entry]:
    for place in places:
        for name in place.names("e"):
            parsed = names.parse_log(name)
            if parsed is None:
                continue
            body = place.get(name)
            try:
                segment = objects.decode_segment(body, name)
            except ArchiveDamaged as damage:
                log.warning("spool.damaged", object=name, spool=str(place), cause=str(damage))
                continue
            yield Entry(
                parsed,
                segment.footer,
                digest_of(body),
                size_bytes=len(body),
                text_bytes=sum(map(size_bytes, segment.batches)),
                place=place,
                is_foreign=True,
            )


def _is_stored(store: ObjectStore, tip: Tip, entry: Entry) -> bool:
    """Tell whether the log says the same as *entry*: the states at its end are equal.

    It need not: after a rewind of etcd, another writer may have recorded other changes of these revisions.
    """
    revision = entry.footer.last_revision
    if (entry.name.epoch, revision) == (tip.epoch.epoch, tip.state.revision):
        return entry.footer.state_digest == tip.state.digest
    try:
        stored = restore(store, AtRevision(revision))
    except (TargetNotRestorable, ArchiveDamaged):
        return False
    return (entry.name.epoch, entry.footer.state_digest) == (stored.epoch.epoch, stored.state.digest)


def _step(tip: Tip, entry: Entry) -> bool:
    """Step *tip* over what of *entry* lies beyond it; False, and no step, if that doesn't continue it."""
    segment = entry.segment()
    if not _continues(tip, segment):
        return False
    batches = beyond([segment], tip.state.revision, tip.watermark.moment)
    try:
        state = replay(tip.state, batches)
    except GapInLog:
        return False
    if state.digest != segment.footer.state_digest or batches[0].revision <= tip.watermark.revision:
        return False
    tip.state = state
    tip.observed_at, tip.window = batches[-1].observed_at, batches[-1].window
    tip.tail_bytes += sum(map(size_bytes, batches))
    moment = max(segment.footer.observed_through, tip.observed_at)
    tip.observe(Watermark(segment.footer.through_revision, moment))
    return True


def _continues(tip: Tip, segment: Segment) -> bool:
    header = segment.header
    own = (tip.archive_id, tip.epoch.epoch)
    reaches = header.revision <= tip.state.revision < segment.footer.last_revision
    return (header.archive_id, header.epoch) == own and reaches
