"""`verify --live`: what etcd holds is what the archive gives, at every revision that both hold."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from archives import PREFIX, Scribe, archives
from captures import ModelSource
from etcd_model import EtcdModel
from generators import START
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore
from servers.clock import SteppedClock

from replicator.core.records import Batch, Record
from replicator.core.retention import RetentionRule
from replicator.errors import UsageError
from replicator.flows.prune import plan_pruning, prune
from replicator.flows.tip import Watermark
from replicator.flows.verify_live import KeyDifference, Live, verify_live

if TYPE_CHECKING:
    from collections.abc import Iterator


def recorded(changes: int = 9) -> tuple[Scribe, EtcdModel]:
    """Return an archive with a base at revision 2 and a segment for each of the *changes*, and its etcd."""
    scribe, etcd = Scribe(MemoryStore()), EtcdModel()
    etcd.put(b"/apisix/a", b"0")
    scribe.open(etcd, START)
    for number in range(1, changes + 1):
        etcd.put(b"/apisix/%d" % (number % 3), b"%d" % number)
        scribe.append([Batch(etcd.head, START + timedelta(seconds=number), etcd.history[-1][1])])
    return scribe, etcd


def prune_all(scribe: Scribe) -> None:
    """Let retention take all but the newest state."""
    rule, late = RetentionRule(timedelta(0)), SteppedClock()
    late.sleep(1e9)
    prune(scribe.store, rule, late, plan_pruning(scribe.store, rule, late))


def compared(scribe: Scribe, source: ModelSource, samples: int = 5, seed: int = 1) -> Live:
    return verify_live(source, PREFIX, scribe.store, samples, seed)


@settings(max_examples=30)
@given(archives(), st.integers(0, 99))
def test_an_archive_is_like_the_etcd_that_it_was_made_of(scribe, seed) -> None:
    known = scribe.known[-1]
    source = ModelSource(EtcdModel())
    source.etcd.states = known.states
    source.etcd.head = max(known.states)
    live = compared(scribe, source, 3, seed)

    assert live.is_alike
    assert live.first_held == known.stamps[0][0]
    assert live.comparisons[-1].revision == known.through.revision
    for one in live.comparisons:
        assert one.keys == len(known.states[one.revision])
    assert live.lag_revisions == source.etcd.head - known.through.revision


def test_each_key_that_differs_is_named_and_how() -> None:
    scribe, etcd = recorded()
    last = etcd.head
    etcd.states[last] = dict(etcd.states[last])
    held = etcd.states[last]
    old = held[b"/apisix/0"]
    held[b"/apisix/0"] = Record(b"secret", old.create_revision, old.mod_revision, old.version + 1, old.lease)
    held[b"/apisix/\xff"] = old
    del held[b"/apisix/1"]
    live = compared(scribe, ModelSource(etcd))

    assert not live.is_alike
    *others, newest = live.comparisons
    assert not any(one.differing for one in others)
    assert newest.differing == 3
    assert newest.differences == (
        KeyDifference("/apisix/0", "other value, version"),
        KeyDifference("/apisix/1", "only in the archive"),
        KeyDifference("base64:L2FwaXNpeC//", "only in etcd"),
    )
    assert "secret" not in repr(live)


def test_what_is_compacted_is_not_compared() -> None:
    scribe, etcd = recorded()
    source = ModelSource(etcd)
    source.compact(8)
    live = compared(scribe, source, 50)

    assert live.first_held == 8
    assert [one.revision for one in live.comparisons] == [8, 9, 10, 11]
    assert live.is_alike
    for _ in range(5):
        etcd.pass_by()
    source.compact(13)
    live = compared(scribe, source)
    assert (live.first_held, live.comparisons, live.lag_revisions) == (None, (), 5)


def test_what_retention_has_thinned_is_not_compared_though_etcd_holds_it() -> None:
    scribe, etcd = recorded()
    scribe.snapshot()
    prune_all(scribe)
    live = compared(scribe, ModelSource(etcd), 50)

    assert live.is_alike
    assert live.first_held == etcd.head
    assert [one.revision for one in live.comparisons] == [etcd.head]


def test_what_is_thinned_while_it_is_compared_is_told() -> None:
    scribe, etcd = recorded()
    scribe.snapshot()

    class Pruning(ModelSource):
        def read(self, revision: int) -> Iterator[tuple[bytes, Record]]:
            prune_all(scribe)
            return super().read(revision)

    live = compared(scribe, Pruning(etcd), 50)

    assert live.is_alike
    *others, newest = live.comparisons
    assert others
    assert all(one.keys is None for one in others)
    assert newest.keys == len(etcd.states[etcd.head])


def test_the_same_seed_chooses_the_same_revisions() -> None:
    scribe, etcd = recorded(40)
    chosen = [
        [one.revision for one in compared(scribe, ModelSource(etcd), 4, seed).comparisons]
        for seed in (1, 1, 2)
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(chosen[0]) == 5


def test_another_cluster_and_one_that_was_set_back_are_told() -> None:
    scribe, etcd = recorded()
    scribe.watch_on(Watermark(30, START + timedelta(seconds=60)))
    source = ModelSource(etcd)
    source.cluster_id = "c2"
    live = compared(scribe, source)

    assert live.faults == (
        "etcd's cluster is c2, and epoch 1 is of c1",
        "etcd stands at revision 11, before the archive's end at 30: it was set back",
    )
    assert not live.is_alike


def test_another_prefix_is_refused() -> None:
    scribe, etcd = recorded()
    with pytest.raises(UsageError, match=r"records the prefix /apisix, and etcd\.prefix is /other"):
        verify_live(ModelSource(etcd), "/other", scribe.store, 5, 1)
