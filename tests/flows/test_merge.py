"""Merging: every target gives the same before and after, wherever it is interrupted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from answers import answers, targets
from archives import Scribe, archives
from etcd_model import EtcdModel
from generators import START, stamped
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import DyingStore, MemoryStore
from servers.clock import SteppedClock

from replicator.core.merging import Limits
from replicator.core.names import LogName
from replicator.core.plan import AtRevision
from replicator.errors import ArchiveDamaged, StoreUnavailable
from replicator.flows.compact import compact
from replicator.flows.merge import MergeRules
from replicator.flows.open_archive import log, merged
from replicator.flows.restore import restore
from replicator.flows.resume import resume
from replicator.flows.survey import survey

AT_ONCE = MergeRules(grace=timedelta(0), limits=Limits(segments=4))
HOUR = timedelta(hours=1)


def written(segments: int, snapshot_each: int = 1) -> Scribe:
    """Return a scribe that has written *segments* of a revision each, and now and then a snapshot."""
    scribe, etcd = Scribe(MemoryStore()), EtcdModel()
    scribe.open(etcd, START)
    for _ in range(segments):
        etcd.put(b"/apisix/a", b"%d" % etcd.head)
    for place, batch in enumerate(stamped(etcd.history), 1):
        scribe.append([batch])
        if place % snapshot_each == 0:
            scribe.snapshot()
    return scribe


@settings(max_examples=25, deadline=None)
@given(archives(), st.integers(2, 5))
def test_every_target_gives_the_same_before_and_after(scribe, most) -> None:
    wanted = targets(scribe.known)
    before, seen = answers(scribe.store, wanted), survey(scribe.store)
    tip = resume(scribe.store, "w")
    rules = MergeRules(grace=timedelta(0), limits=Limits(segments=most))
    compact(scribe.store, rules, SteppedClock())
    assert before == answers(scribe.store, wanted)
    assert seen == survey(scribe.store)
    again = resume(scribe.store, "w")
    assert (tip.anchor, tip.state.digest) == (again.anchor, again.state.digest)
    objects = dict(scribe.store.objects)
    compact(scribe.store, rules, SteppedClock())
    assert objects == scribe.store.objects


@settings(max_examples=12, deadline=None)
@given(archives(), st.data())
def test_interrupted_at_any_call_of_the_store_nothing_changes(scribe, data) -> None:
    """The process dies before or after the n-th call, for each n; another one takes up what it left."""
    wanted = targets(scribe.known)
    wanted = data.draw(st.lists(st.sampled_from(wanted), min_size=8, max_size=8))
    before = answers(scribe.store, wanted)
    done = MemoryStore()
    done.objects = dict(scribe.store.objects)
    compact(done, AT_ONCE, SteppedClock())
    calls, is_dead = 0, True
    while is_dead:
        for is_done in (False, True):
            store = DyingStore(scribe.store.objects, calls, is_done=is_done)
            try:
                compact(store, AT_ONCE, SteppedClock())
                is_dead = False
            except StoreUnavailable:
                is_dead = True
            if store.has_changed:
                assert before == answers(store.left(), wanted)
                again = store.left()
                compact(again, AT_ONCE, SteppedClock())
                assert before == answers(again, wanted)
                assert {name for name in again.objects if "/log/" in name} == {
                    name for name in done.objects if "/log/" in name
                }
        calls += 1


def test_the_open_end_stays() -> None:
    scribe = written(20, snapshot_each=7)
    compact(scribe.store, AT_ONCE, SteppedClock())
    assert [LogName(1, after) for after in range(15, 21)] == list(log(scribe.store, 1))


def test_sources_stay_for_the_grace_time_also_over_a_restart() -> None:
    scribe, clock = written(6, snapshot_each=6), SteppedClock()
    rules = MergeRules()
    first = compact(scribe.store, rules, clock)
    assert (len(first.made), len(first.deleted), first.waiting) == (1, 0, 6)
    clock.sleep(HOUR.total_seconds() - 1)
    assert compact(scribe.store, rules, clock).waiting == 6
    clock.sleep(1)
    assert len(compact(scribe.store, rules, clock).deleted) == 6
    assert list(log(scribe.store, 1)) == []


def test_nothing_is_rewritten_more_often_than_the_logarithm_says() -> None:
    scribe, etcd = Scribe(MemoryStore()), EtcdModel()
    scribe.open(etcd, START)
    rewritten = 0
    for _ in range(128):
        etcd.put(b"/apisix/a", b"x")
        scribe.append([stamped(etcd.history)[-1]])
        scribe.snapshot()
        compact(scribe.store, MergeRules(grace=timedelta(0)), SteppedClock())
        rewritten += sum(
            name.last == etcd.head and name.last - name.after for name in merged(scribe.store, 1)
        )
    assert rewritten <= 128 * 8
    assert len(list(merged(scribe.store, 1))) <= 8


def test_two_mergers_at_once_leave_what_one_would() -> None:
    """The second one has planned with what the first one merges, and deletes, meanwhile."""
    scribe = written(12, snapshot_each=4)
    wanted = targets(scribe.known)
    before = answers(scribe.store, wanted)
    other = MergeRules(grace=timedelta(0), limits=Limits(segments=3))
    get, calls = scribe.store.get, []

    def interrupted(name: str) -> bytes:
        calls.append(name)
        if len(calls) in (9, 21):
            scribe.store.get = get  # type: ignore[method-assign]
            compact(scribe.store, other, SteppedClock())
            scribe.store.get = interrupted  # type: ignore[method-assign]
        return get(name)

    scribe.store.get = interrupted  # type: ignore[method-assign]
    compact(scribe.store, AT_ONCE, SteppedClock())
    scribe.store.get = get  # type: ignore[method-assign]
    assert before == answers(scribe.store, wanted)
    compact(scribe.store, AT_ONCE, SteppedClock())
    assert before == answers(scribe.store, wanted)


def test_what_the_store_gives_back_wrong_takes_no_sources_with_it() -> None:
    scribe = written(6, snapshot_each=6)
    wanted = targets(scribe.known)
    before = answers(scribe.store, wanted)
    create = scribe.store.create

    def flipping(name: str, body: bytes) -> None:
        create(name, body[:40] + bytes([body[40] ^ 1]) + body[41:] if "/merged/" in name else body)

    scribe.store.create = flipping  # type: ignore[method-assign]
    with pytest.raises(ArchiveDamaged):
        compact(scribe.store, AT_ONCE, SteppedClock())
    assert before == answers(scribe.store, wanted)
    assert len(list(log(scribe.store, 1))) == 6


def test_a_broken_chain_is_not_merged() -> None:
    scribe, forked = written(6, snapshot_each=6), Scribe(MemoryStore(), writer="another-writer")
    etcd = EtcdModel()
    forked.open(etcd, START)
    for _ in range(6):
        etcd.put(b"/apisix/a", b"%d" % etcd.head)
    for batch in stamped(etcd.history):
        forked.append([batch])
    name = str(list(log(scribe.store, 1))[3])
    scribe.store.objects[name] = forked.store.objects[name]
    with pytest.raises(ArchiveDamaged, match="hash chain is broken"):
        compact(scribe.store, AT_ONCE, SteppedClock())
    assert list(merged(scribe.store, 1)) == []


def spoil(store: MemoryStore) -> str:
    """Change a byte of the one merged object in *store*; return its name."""
    (name,) = map(str, merged(store, 1))
    store.objects[name] = store.objects[name][:40] + b"?" + store.objects[name][41:]
    return name


def test_a_merged_object_that_spoils_while_its_sources_stay_is_done_without_and_made_anew() -> None:
    scribe, clock = written(6, snapshot_each=6), SteppedClock()
    wanted = targets(scribe.known)
    before = answers(scribe.store, wanted)
    compact(scribe.store, MergeRules(), clock)
    name = spoil(scribe.store)
    assert before == answers(scribe.store, wanted)
    assert [name in cause for cause in compact(scribe.store, MergeRules(), clock).damaged] == [True]
    assert len(compact(scribe.store, MergeRules(), clock).made) == 1
    assert before == answers(scribe.store, wanted)


@pytest.mark.parametrize("lost", [1, 6])
def test_a_merged_object_that_spoils_without_all_its_sources_is_damage(lost) -> None:
    scribe, clock = written(6, snapshot_each=6), SteppedClock()
    compact(scribe.store, MergeRules(), clock)
    for source in list(log(scribe.store, 1))[-lost:]:
        scribe.store.delete(str(source))
    name = spoil(scribe.store)
    (snapshot,) = [name for name in scribe.store.objects if "/snapshots/" in name and ".base" not in name]
    scribe.store.delete(snapshot)
    with pytest.raises(ArchiveDamaged, match=name):
        restore(scribe.store, AtRevision(7))
    scribe.snapshot()
    if lost == 1:
        with pytest.raises(ArchiveDamaged, match=name):
            compact(scribe.store, MergeRules(), clock)
    assert name in scribe.store.objects
