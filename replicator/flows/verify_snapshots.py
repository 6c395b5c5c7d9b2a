"""What a snapshot says of the log, before it and behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.core import objects
from replicator.errors import ArchiveDamaged

if TYPE_CHECKING:
    from replicator.core.names import SnapshotName
    from replicator.core.objects import Segment, SnapshotFooter
    from replicator.core.replay import Replay


def compare(body: bytes, name: SnapshotName, archive_id: str | None, replay: Replay) -> SnapshotFooter:
    """Compare the snapshot *body* with the fold *replay* of the log up to there; return its footer.

    Raises:
        ArchiveDamaged: It isn't what was written, or not what the log gives.
    """
    header, footer, digest = objects.inspect_snapshot(body, str(name))
    expected = (archive_id, name.epoch, name.revision)
    pairs = (
        ("its header names another place", (header.archive_id, header.epoch, header.revision), expected),
        ("no segment ends at its revision", name.revision, replay.state.revision),
        ("its state isn't what the log gives", footer.state_digest, replay.state.digest),
        ("its time isn't that of the log", name.observed_at, replay.observed_at),
        ("its window isn't that of the log", footer.window, replay.window),
        ("it names another segment than the one before it", footer.anchor(digest), replay.anchor),
    )
    for complaint, found, wanted in pairs:
        if found != wanted:
            raise ArchiveDamaged(f"{name} is damaged: {complaint}")
    return footer


def broken_promise(name: SnapshotName, footer: SnapshotFooter, following: Segment) -> str | None:
    """Return what is wrong with the watermark of a snapshot, by the segment that follows it; None if nothing.

    A restore of a moment before the watermark believes it, and doesn't read what follows.
    """
    first = following.batches[0]
    if first.revision > footer.through_revision and first.observed_at > footer.observed_through:
        return None
    return f"{name} is damaged: it says that nothing happened where the log has revision {first.revision}"
