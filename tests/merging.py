"""Merge what an archive holds, as housekeeping does, but wherever a test wants it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from generators import START
from hypothesis import strategies as st

from replicator.core.merged import decode_piece, encode_merged, merged_name
from replicator.flows.open_archive import log

if TYPE_CHECKING:
    from memory_store import MemoryStore

    from replicator.core.names import LogName, MergedName

NOON = START + timedelta(days=1)


def merge(store: MemoryStore, names: list[LogName]) -> MergedName:
    """Put the segments *names* into one object; return its name."""
    segments = [piece for name in names for piece in decode_piece(store.objects[str(name)], name)]
    name = merged_name(segments)
    store.create(str(name), encode_merged(segments, "merger", NOON))
    return name


def merge_at_random(store: MemoryStore, epoch: int, data: Any) -> None:
    """Merge runs that may overlap, and delete some of what they hold."""
    names = list(log(store, epoch))
    held: set[LogName] = set()
    for _ in range(data.draw(st.integers(0, 3)) if names else 0):
        first = data.draw(st.integers(0, len(names) - 1))
        last = data.draw(st.integers(first, len(names) - 1))
        merge(store, names[first : last + 1])
        held.update(names[first : last + 1])
    for name in sorted(held):
        if data.draw(st.booleans()):
            store.delete(str(name))
