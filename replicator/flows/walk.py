"""Read an epoch's log in order, one segment after the other, as it leads from revision to revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.core import objects
from replicator.flows.fetch import fetch
from replicator.flows.open_archive import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicator.core.names import LogName
    from replicator.core.objects import Segment
    from replicator.ports import ObjectStore


def walk(
    store: ObjectStore, epoch: int, since: int, on_stray: Callable[[str], None] | None = None
) -> Iterator[tuple[LogName, Segment]]:
    """Yield the name and content of each segment that follows revision *since*, in order.

    A name that lies before the place to which the segments have led belongs to a stale writer, and is passed
    over; *on_stray* hears of it. One that lies beyond that place is yielded: whoever folds sees the hole.

    Raises:
        ObjectMissing: A segment that was listed has vanished.
        ArchiveDamaged: A segment isn't what was written.
    """
    position = since
    for name, body in fetch(store, log(store, epoch, since)):
        if name.after < position:
            if on_stray is not None:
                on_stray(str(name))
            continue
        segment = objects.decode_segment(body, str(name))
        yield name, segment
        position = segment.footer.last_revision
