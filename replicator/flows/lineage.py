"""Is this still the etcd that we left? A rebuilt or rewound one looks the same in every header."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.core.state import digest_of
from replicator.errors import Compacted

if TYPE_CHECKING:
    from replicator.flows.tip import Tip
    from replicator.ports import Source, SourceStatus


def break_in_lineage(source: Source, status: SourceStatus, tip: Tip, cursor: int) -> str | None:
    """Return why etcd's history doesn't continue ours, as `Epoch.reason` says it; None if it does.

    What etcd holds at the revision that we sealed last, bookmarks included, is read and compared whole:
    an etcd that was set back to before it, and has come as far again since, differs there.

    Args:
        source: The etcd, connected.
        status: What it says of itself.
        tip: Our log's end.
        cursor: The revision up to which we have seen everything.
    """
    if status.cluster_id != tip.epoch.cluster_id:
        return "cluster_changed"
    if status.head < cursor:
        return "rewound"
    revision, digest = tip.sealed
    try:
        return None if digest_of(source.read(revision)) == digest else "diverged"
    except Compacted:
        # What we have not sealed yet may still be there to be watched; the watch tells.
        return "compacted" if revision >= cursor else None
