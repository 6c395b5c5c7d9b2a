"""What follows an archive has the state that a restore would give, whatever happens meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from archives import Scribe, archives, written
from captures import Running, new_source, put
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore
from servers.clock import SteppedClock
from spools import Outage

from replicator.core.merging import Limits
from replicator.core.names import CHECKPOINT, LogName
from replicator.core.plan import Latest
from replicator.errors import ArchiveDamaged, StoreUnavailable, UsageError
from replicator.flows.compact import compact
from replicator.flows.merge import MergeRules
from replicator.flows.restore import restore
from replicator.flows.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Iterator


class Counting(MemoryStore):
    """A store that counts its LISTs and GETs."""

    lists = gets = 0

    def get(self, name: str) -> bytes:
        """Return the object."""
        self.gets += 1
        return super().get(name)

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the names."""
        self.lists += 1
        return super().names(prefix, after)


def is_restorable(store: MemoryStore) -> bool:
    try:
        restore(store, Latest())
    except (UsageError, ArchiveDamaged):
        return False
    return True


@settings(max_examples=40, deadline=None)
@given(archives(), st.data())
def test_it_has_what_a_restore_gives_while_the_archive_grows(scribe: Scribe, data: st.DataObject) -> None:
    """Objects appear in the order in which they were written; between any two somebody may look."""
    visible, clock = MemoryStore(), SteppedClock()
    tail = Tail(visible, clock)
    objects = [(name, body) for name, body in scribe.store.objects.items() if name != CHECKPOINT]
    for number, (name, body) in enumerate(objects, 1):
        visible.objects[name] = body
        if not is_restorable(visible) or (number < len(objects) and data.draw(st.booleans())):
            continue
        clock.sleep(100)
        tail.poll()
        expected = restore(visible, Latest())
        assert (tail.epoch, tail.state.revision) == (expected.epoch.epoch, expected.state.revision)
        assert tail.state.digest == expected.state.digest
        assert not tail.poll()


def test_it_goes_on_under_merged_names() -> None:
    scribe, clock = written(cut_after=(2, 4, 6)), SteppedClock()
    whole, visible = dict(scribe.store.objects), MemoryStore()
    hidden = [str(LogName(1, after)) for after in range(4, 9)]
    hidden += [name for name in whole if "/snapshots/" in name and "base" not in name]
    visible.objects = {name: body for name, body in whole.items() if name not in hidden}
    tail = Tail(visible, clock)
    assert tail.poll()
    assert tail.state.revision == 4
    assert scribe.tip is not None
    scribe.watch_on(scribe.tip.watermark)
    compact(scribe.store, MergeRules(grace=timedelta(0), limits=Limits(segments=9)), SteppedClock())
    visible.objects = scribe.store.objects
    assert not tail.poll()
    clock.sleep(6)
    assert tail.poll()
    assert tail.state.digest == restore(scribe.store, Latest()).state.digest


def test_a_poll_is_a_get_and_no_list() -> None:
    scribe, clock = written(), SteppedClock()
    store = Counting()
    store.objects = scribe.store.objects
    tail = Tail(store, clock)
    tail.poll()
    store.lists = store.gets = 0
    for _ in range(50):
        clock.sleep(1)
        assert not tail.poll()
    assert store.lists == 0
    assert store.gets <= 50 + 10 + 4


def test_damage_is_told_and_overcome() -> None:
    scribe, clock = written(), SteppedClock()
    names = sorted(name for name in scribe.store.objects if "/log/" in name)
    last = scribe.store.objects.pop(names[-1])
    tail = Tail(scribe.store, clock)
    tail.poll()
    scribe.store.objects[names[-1]] = last[:-9]
    with pytest.raises(ArchiveDamaged):
        tail.poll()
    scribe.store.objects[names[-1]] = last
    assert tail.poll()
    assert tail.state.revision == 8


def test_a_store_that_is_away_costs_nothing() -> None:
    scribe, clock = written(), SteppedClock()
    store = Outage(scribe.store)
    tail = Tail(store, clock)
    tail.poll()
    store.is_away = True
    with pytest.raises(StoreUnavailable):
        tail.poll()
    assert tail.state.revision == 8
    store.is_away = False
    assert not tail.poll()


@pytest.mark.usefixtures("quick")
def test_it_follows_a_writer_at_work_into_the_next_epoch() -> None:
    source, store, clock = new_source(), MemoryStore(), SteppedClock()
    running = Running(source, store)
    running.tells("watch.started")
    tail = Tail(store, clock)
    tail.poll()
    running.stores(put(source, b"2"))
    assert tail.poll()
    with source.changing():
        source.cluster_id = "c2"
        source.cut()
    running.waits(lambda: len(running.events("epoch.opened")) == 2, "another epoch")
    running.stores(put(source, b"3"))
    clock.sleep(100)
    assert tail.poll()
    assert tail.epoch == 2
    running.stop()
    tail.poll()
    assert tail.state.digest == restore(store, Latest()).state.digest
