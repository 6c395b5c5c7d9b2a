"""Take up what an earlier process left in its spool: changes that etcd may have forgotten by now."""

from __future__ import annotations

from bisect import bisect_left
from contextlib import suppress
from typing import TYPE_CHECKING

from replicator.core import names, objects
from replicator.core.frame import digest_of
from replicator.core.plan import AtRevision
from replicator.core.rebase import beyond
from replicator.core.records import size_bytes
from replicator.core.state import GapInLog, replay
from replicator.errors import (
    ArchiveDamaged,
    ObjectMissing,
    StoreUnavailable,
    TargetNotRestorable,
    UsageError,
)
from replicator.flows.restore import restore
from replicator.flows.spool import Entry
from replicator.flows.tip import Watermark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from structlog.typing import FilteringBoundLogger

    from replicator.core.objects import Segment
    from replicator.errors import ReplicatorError
    from replicator.flows.tip import Tip
    from replicator.ports import ObjectStore


def recover(
    tip: Tip, places: Sequence[ObjectStore], store: ObjectStore, log: FilteringBoundLogger
) -> list[Entry]:
    """Step *tip* over all in *places* that continues it, and return that, in order, to be stored.

    What the log in *store* holds already is deleted. What can't continue it (another epoch was opened
    since, or a piece is missing) is told and left alone: nothing but this spool may know of it. So is a disk
    that can't be read: that it has failed is no reason to record nothing.

    Raises:
        StoreUnavailable: *store* is away.
    """
    kept, others = [], []
    for entry in sorted(_entries(places, log), key=lambda entry: (entry.name, -entry.footer.last_revision)):
        match _verdict(tip, entry, log):
            case "next":
                kept.append(entry)
            case "other":
                others.append(entry)
    _clear(others, store, log)
    if kept:
        log.warning("spool.recovered", segments=len(kept), revision=tip.state.revision)
    return kept


def _entries(places: Sequence[ObjectStore], log: FilteringBoundLogger) -> Iterator[Entry]:
    for place in places:
        for name in _names(place, log):
            parsed = names.parse_log(name)
            if parsed is None:
                continue
            try:
                body = place.get(name)
                segment = objects.decode_segment(body, name)
            except ObjectMissing:  # its owner lives, and has stored it this moment
                continue
            except (ArchiveDamaged, StoreUnavailable, UsageError) as damage:
                _tell(log, name, place, damage)
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


def _tell(
    log: FilteringBoundLogger,
    name: str,
    place: ObjectStore | None,
    failure: ReplicatorError,
) -> None:
    log.error("spool.damaged", object=name, spool=str(place), cause=str(failure))


def _names(place: ObjectStore, log: FilteringBoundLogger) -> list[str]:
    try:
        return list(place.names("e"))
    except StoreUnavailable as error:
        _tell(log, "", place, error)
        return []


def _verdict(tip: Tip, entry: Entry, log: FilteringBoundLogger) -> str:
    """Step *tip* over *entry* if it is the next one; else tell whether it is done with, or some other's."""
    try:
        if _step(tip, entry):
            return "next"
        if _is_at(tip, entry):
            _forget(entry)
            return "done"
    except StoreUnavailable as error:
        _tell(log, str(entry.name), entry.place, error)
        return "unread"
    return "other"


def _is_at(tip: Tip, entry: Entry) -> bool:
    here = tip.epoch.epoch, tip.state.revision, tip.state.digest
    return (entry.name.epoch, entry.footer.last_revision, entry.footer.state_digest) == here


def _clear(entries: Sequence[Entry], store: ObjectStore, log: FilteringBoundLogger) -> None:
    """Delete those of *entries* that *store* has, and set the others aside.

    What one writer sealed is a chain, so that the log holds it up to somewhere: found by halves, since each
    look restores a moment, and thousands may have gathered in an outage.
    """
    chains: dict[tuple[int, int], list[Entry]] = {}
    for entry in entries:
        chains.setdefault((id(entry.place), entry.name.epoch), []).append(entry)
    for chain in chains.values():
        stored = len(chain)
        if not _is_stored(store, chain[-1]):
            stored = bisect_left(
                range(len(chain) - 1), 1, key=lambda place: not _is_stored(store, chain[place])
            )
        for entry in chain[:stored]:
            _forget(entry)
        for entry in chain[stored:]:
            log.error("spool.set_aside", object=str(entry.name), spool=str(entry.place))


def _forget(entry: Entry) -> None:
    if entry.place is not None:
        with suppress(StoreUnavailable):  # what stays is looked at again at the next start
            entry.place.delete(str(entry.name))


def _is_stored(store: ObjectStore, entry: Entry) -> bool:
    """Tell whether the log says the same as *entry*: the states at its end are equal.

    It need not: after a rewind of etcd, another writer may have recorded other changes of these revisions.
    """
    try:
        stored = restore(store, AtRevision(entry.footer.last_revision, entry.name.epoch))
    except (TargetNotRestorable, ArchiveDamaged):
        return False
    return entry.footer.state_digest == stored.state.digest


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
