"""Begin a history without holes: read everything at one revision, and open an epoch with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import structs

from replicator.core import documents, objects
from replicator.core.documents import Epoch
from replicator.core.frame import digest_of
from replicator.core.gaps import Across
from replicator.core.names import SnapshotName, epoch_document, epoch_folder, gap_record
from replicator.core.objects import Header, SnapshotFooter
from replicator.core.records import Window
from replicator.core.state import State
from replicator.errors import Compacted, WriterFenced
from replicator.flows.append import continues
from replicator.flows.tip import Tip, Watermark

if TYPE_CHECKING:
    from datetime import datetime

    from replicator.core.documents import Gap
    from replicator.flows.link import Link
    from replicator.flows.persist import Persistence
    from replicator.ports import Source, SourceStatus


_TICK = timedelta(microseconds=1)

# An etcd that forgets faster than that is read at its head.
_TRIES_AT_THE_OLDEST = 3


@dataclass(frozen=True, slots=True)
class Base:
    """All keys at one revision of etcd.

    Attributes:
        status: What etcd said of itself before it was read.
        state: The keys.
        observed_at: All that was committed until then is among them, if they are those of etcd's head.
    """

    status: SourceStatus
    state: State
    observed_at: datetime

    @property
    def is_whole(self) -> bool:
        """Whether this is etcd's head, so that nothing of it is to be watched yet."""
        return self.state.revision == self.status.head


def read_base(link: Link, forgotten: int = 0) -> Base:
    """Return all keys at one revision of etcd, read page by page: at its head, or where its history begins.

    Args:
        link: Whose etcd is read.
        forgotten: A revision that this etcd no longer holds; 0 if none is asked for. The base is then where
            its history begins, and the watch gives one by one what it still holds of what followed.

    Raises:
        SourceUnavailable: etcd can't be reached or refuses us.
    """
    tries = _TRIES_AT_THE_OLDEST if forgotten else 0
    while True:
        oldest = _oldest(link.source, forgotten) if tries > 0 else 0
        tries -= 1
        observed_at = link.clock.now()
        status = link.source.status()
        state = State(min(oldest or status.head, status.head))
        try:
            for key, record in link.source.read(state.revision):
                state.add(key, record)
        except Compacted:
            link.log.warning("bootstrap.restarted", revision=state.revision)
            continue
        return Base(status, state, observed_at)


def _oldest(source: Source, forgotten: int) -> int:
    """Return the first revision that *source* holds, which no longer holds *forgotten*; 0 if it does."""
    status = source.status()
    if status.head <= forgotten or not status.tells_progress:
        return 0  # it is another etcd by now; or it may say nothing for minutes
    try:
        next(source.watch(forgotten), None)
    except Compacted as compacted:
        return compacted.oldest
    return 0


def open_epoch(
    link: Link,
    persistence: Persistence,
    base: Base,
    archive_id: str,
    reason: str = "first",
    before: Tip | None = None,
) -> Tip:
    """Store the base snapshot and the gap's record, then the epoch's document, which makes them count.

    Returns where the epoch's log begins.

    Args:
        link: What is recorded, and where to.
        persistence: What to store it with.
        base: The state that the epoch begins with.
        archive_id: As in archive.json.
        reason: Why, as `Epoch` explains it.
        before: The end of the epoch before; None for the first.

    Raises:
        WriterFenced: Another writer has opened this epoch, or extends the one before.
    """
    number = before.epoch.epoch + 1 if before else 1
    observed_at = base.observed_at
    if before is not None:
        observed_at = max(observed_at, before.watermark.moment + _TICK)
    observed_at = _untaken(link, number, base.state.revision, observed_at)
    window = Window(before.watermark.moment, observed_at) if before and not base.is_whole else None
    revision = base.state.revision
    name = SnapshotName(number, revision, observed_at, is_base=True)
    header = Header(
        kind="snapshot", archive_id=archive_id, epoch=number, revision=revision, writer=link.writer
    )
    footer = SnapshotFooter(
        keys=len(base.state),
        through_revision=revision,
        observed_through=observed_at,
        state_digest=base.state.digest,
        window=window,
    )
    body = objects.encode_snapshot(header, base.state, footer)
    persistence.create(str(name), body)
    gap = None
    if before is not None:
        across = Across(reason, before.state, before.end(), base.state, observed_at)
        gap = _store_gap(persistence, across, header, observed_at)
    epoch = Epoch(
        epoch=number,
        reason=reason,
        cluster_id=base.status.cluster_id,
        base=revision,
        observed_at=observed_at,
        snapshot=str(name),
        writer=link.writer,
        follows=before.end() if before else None,
        gap=gap,
    )
    if before is not None and continues(link.store, str(before.log_name), before.anchor):
        raise WriterFenced(
            f"another writer has extended epoch {before.epoch.epoch}: this one must not end it",
            hint="it stands by from now on, if it may",
        )
    persistence.create(epoch_document(number), documents.encode(epoch), is_final=True)
    link.log.info("epoch.opened", epoch=number, reason=reason, base=revision, keys=len(base.state))
    if gap is not None:
        _tell_gap(link, epoch, gap)
    return Tip(
        archive_id=archive_id,
        writer=link.writer,
        epoch=epoch,
        state=base.state,
        anchor=digest_of(body),
        observed_at=observed_at,
        window=window,
        watermark=Watermark(revision, observed_at),
        snapshot_revision=revision,
        tail_bytes=0,
        sealed=(revision, base.state.digest),
        seen=(revision, Watermark(revision, observed_at)),
    )


def _untaken(link: Link, number: int, revision: int, observed_at: datetime) -> datetime:
    """Return the first moment from *observed_at* on at which nobody has begun to open epoch *number*.

    Over a clock that was set back each try has the same moment, and what a killed one has left there would
    keep all others from opening it.
    """
    taken = set(link.store.names(epoch_folder(number)))
    while not taken.isdisjoint(
        (str(SnapshotName(number, revision, observed_at, is_base=True)), gap_record(number, observed_at))
    ):
        observed_at += _TICK
    return observed_at


def _store_gap(persistence: Persistence, across: Across, header: Header, observed_at: datetime) -> Gap:
    """Store the record of the gap that ends at *observed_at*; return what the epoch's document says of it."""
    name = gap_record(header.epoch, observed_at)
    body, gap = across.encode(structs.replace(header, kind="gap"), name)
    persistence.create(name, body)
    return gap


def _tell_gap(link: Link, epoch: Epoch, gap: Gap) -> None:
    link.log.warning(
        "gap.found",
        epoch=epoch.epoch,
        reason=epoch.reason,
        created=gap.created,
        updated=gap.updated,
        deleted=gap.deleted,
    )
