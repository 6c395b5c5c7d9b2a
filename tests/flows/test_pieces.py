"""Merged objects and strays: readers find the same history, whatever it is stored in."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from answers import answers, targets
from archives import Scribe, archives
from etcd_model import EtcdModel
from generators import START, stamped
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore
from merging import merge, merge_at_random

from replicator.core.plan import Latest
from replicator.errors import ArchiveDamaged
from replicator.flows.open_archive import log, pieces
from replicator.flows.restore import restore
from replicator.flows.resume import resume
from replicator.flows.survey import survey

if TYPE_CHECKING:
    from replicator.core.records import Batch


@settings(max_examples=25, deadline=None)
@given(archives(), st.data())
def test_merged_at_random_every_target_gives_the_same(scribe, data) -> None:
    wanted = targets(scribe.known)
    before, seen = answers(scribe.store, wanted), survey(scribe.store)
    tip = resume(scribe.store, "w")
    for known in scribe.known:
        merge_at_random(scribe.store, known.number, data)
    assert before == answers(scribe.store, wanted)
    assert seen == survey(scribe.store)
    again = resume(scribe.store, "w")
    assert (tip.anchor, tip.state.digest) == (again.anchor, again.state.digest)


def written(segments: int = 8) -> tuple[Scribe, list[Batch]]:
    """Return a scribe that has written *segments* of two revisions each, and all their batches."""
    scribe, etcd = Scribe(MemoryStore()), EtcdModel()
    scribe.open(etcd, START)
    for _ in range(2 * segments):
        etcd.put(b"/apisix/a", b"%d" % etcd.head)
    batches = stamped(etcd.history)
    for place in range(0, 2 * segments, 2):
        scribe.append(batches[place : place + 2])
    return scribe, batches


def stale_segments(
    store: MemoryStore, batches: list[Batch], seen: int, sizes: list[int]
) -> list[tuple[str, bytes]]:
    """Return what a writer would write that has seen *seen* segments of *store* alone, cut in *sizes*."""
    past = MemoryStore()
    past.objects = {name: body for name, body in store.objects.items() if "/merged/" not in name}
    for name in [*log(past, 1)][seen:]:
        past.delete(str(name))
    stale = resume(past, "stale-writer")
    place, made = 2 * seen, []
    for size in sizes:
        if run := tuple(batches[place : place + size]):
            name, body, *_ = stale.seal(run, None)
            made.append((str(name), body))
        place += size
    return made


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 7), st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(0, 7), st.data())
def test_what_a_stale_writer_leaves_changes_nothing(seen, sizes, first, data) -> None:
    """It wakes up before or after the log was merged, and writes under whatever name is free."""
    scribe, batches = written()
    names = list(log(scribe.store, 1))
    wanted = targets(scribe.known)[::4]
    before, seen_before = answers(scribe.store, wanted), survey(scribe.store)
    last = data.draw(st.integers(first, 7))
    past = {str(name): scribe.store.objects[str(name)] for name in names}
    merge(scribe.store, names[first : last + 1])
    for name in names[first : last + 1]:
        scribe.store.delete(str(name))
    whole = scribe.store.objects
    scribe.store.objects = {**whole, **past}
    stale = stale_segments(scribe.store, batches, seen, sizes)
    scribe.store.objects = whole
    for name, body in stale:
        if scribe.store.objects.setdefault(name, body) != body:
            break
    assert before == answers(scribe.store, wanted)
    assert seen_before == survey(scribe.store)


def test_a_hole_is_still_damage_though_strays_lie_beyond() -> None:
    scribe, _ = written()
    names = list(log(scribe.store, 1))
    scribe.store.delete(str(names[3]))
    with pytest.raises(ArchiveDamaged, match="is missing"):
        restore(scribe.store, Latest())


def test_a_merged_object_that_begins_before_a_snapshot_is_entered_where_that_was_cut() -> None:
    scribe, _ = written()
    names = list(log(scribe.store, 1))
    merged = merge(scribe.store, names[1:6])
    assert [merged, *names[6:]] == list(pieces(scribe.store, 1, names[3].after))
    assert [names[0], merged, *names[6:]] == list(pieces(scribe.store, 1, names[0].after))


@pytest.mark.parametrize("planned", ["segments", "merged"])
def test_a_restore_that_is_overtaken_by_merging_plans_anew(planned) -> None:
    """What it has planned to read is merged, or merged further, and deleted before it comes to it."""
    scribe, _ = written()
    names = list(log(scribe.store, 1))
    objects = scribe.store.objects
    whole = str(merge(scribe.store, names))
    body = objects.pop(whole)
    if planned == "merged":
        merge(scribe.store, names[:4])
        for name in names[:4]:
            del objects[str(name)]
    get, is_planned = scribe.store.get, threading.Lock()

    def overtaken(name: str) -> bytes:
        if ("/log/" in name or "/merged/" in name) and is_planned.acquire(blocking=False):
            scribe.store.objects = {
                kept: body for kept, body in objects.items() if "/log/" not in kept and "/merged/" not in kept
            }
            scribe.store.objects[whole] = body
        return get(name)

    scribe.store.get = overtaken  # type: ignore[method-assign]
    assert restore(scribe.store, Latest()).state.revision == 17
    assert is_planned.locked()
