"""Take up an archive where its log ends: the state, the hash chain and the clock are read back from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.core.plan import Latest
from replicator.flows.restore import restore
from replicator.flows.tip import Tip, Watermark

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicator.errors import ArchiveDamaged
    from replicator.ports import ObjectStore


def resume(
    store: ObjectStore, writer: str, on_damaged: Callable[[ArchiveDamaged], None] | None = None
) -> Tip:
    """Return the end of the log in *store*, for *writer* to go on from.

    *on_damaged* hears of a damaged snapshot, which is then passed over: recording must not stop for an
    object that only saves time.

    Raises:
        ArchiveDamaged: The log's tail can't be replayed.
    """
    last = restore(store, Latest(), on_damaged)
    replay, watermark = last.replay, Watermark(last.reach.through_revision, last.reach.observed_through)
    return Tip(
        archive_id=last.archive.archive_id,
        writer=writer,
        epoch=last.epoch,
        state=last.state,
        anchor=replay.anchor,
        observed_at=replay.observed_at,
        window=replay.window,
        watermark=watermark,
        snapshot_revision=last.snapshot_revision,
        tail_bytes=replay.tail_bytes,
        sealed=(watermark.revision, last.state.digest),
        seen=(last.state.revision, watermark),
    )
