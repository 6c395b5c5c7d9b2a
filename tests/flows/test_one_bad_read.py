"""One damaged read must never count as permission: to delete, to take over, or to give up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from archives import written
from captures import Running, new_source, put
from memory_store import MemoryStore
from servers.clock import SteppedClock

from replicator.adapters.key_file import FileKeys
from replicator.adapters.sealed import SealedStore
from replicator.core import names
from replicator.core.sealing import file_key
from replicator.flows.compact import compact
from replicator.flows.merge import MergeRules

pytestmark = pytest.mark.usefixtures("quick")

KEYS = FileKeys([file_key(b"k" * 32)])


class Flipping(MemoryStore):
    """A store that flips a bit of byte *place* of the next object that is read under *name*."""

    name = ""
    place: int | None = None

    def get(self, name: str) -> bytes:
        """Return the object, or what has become of it on its way."""
        body = super().get(name)
        if self.place is None or not name.startswith(self.name):
            return body
        place, self.place = self.place % len(body), None
        return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]


def test_a_merged_object_that_is_whole_where_it_lies_stays() -> None:
    scribe, clock, store = written(cut_after=(2, 4, 6)), SteppedClock(), Flipping()
    store.objects = scribe.store.objects
    compact(store, MergeRules(grace=timedelta(hours=1)), clock)
    held = list(store.names("e00000001/merged/"))
    assert held
    clock.sleep(4000)
    store.name, store.place = "e00000001/merged/", -9
    compact(store, MergeRules(grace=timedelta(hours=1)), clock)
    assert store.place is None
    assert list(store.names("e00000001/merged/")) == held


@pytest.mark.parametrize("place", [7, 8, 12, 40])
def test_a_flipped_bit_in_the_checkpoint_ends_no_writer_and_no_term(place: int) -> None:
    inner = Flipping()
    source = new_source()
    one = Running(source, SealedStore(inner, KEYS))
    one.tells("watch.started")
    two = Running(source.again(), SealedStore(inner, KEYS))
    two.tells("standby.waiting")
    for _ in range(3):
        inner.name, inner.place = names.CHECKPOINT, place
        one.waits(lambda: inner.place is None, "somebody has read it")
    one.stores(put(source, b"2"))
    assert not two.events("lease.taken")
    two.stop()
    one.stop()
    assert not one.events("writer.fenced")
