"""Captures: nothing lost and nothing doubled, whatever the source, the store and other writers do."""

from __future__ import annotations

from datetime import timedelta

import pytest
from archives import PREFIX
from captures import (
    AT_ONCE,
    IN_AN_HOUR,
    ModelSource,
    Running,
    capturing,
    check,
    new_source,
    put,
    reasons,
    recorded,
)
from etcd_model import EtcdModel
from generators import histories, played, steps
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import FailingStore, MemoryStore

from replicator.core import documents, names
from replicator.core.documents import Archive
from replicator.core.plan import AtRevision, Latest
from replicator.errors import (
    SourceUnavailable,
    StoreUnavailable,
    UsageError,
)
from replicator.flows import follow
from replicator.flows.inbox import GroupCommit
from replicator.flows.open_archive import read_checkpoint
from replicator.flows.restore import restore

pytestmark = pytest.mark.usefixtures("quick")

FOUNDING = ["fine"] * 3  # a store that is away at the very start is told at once
fates = st.sampled_from(["fine", "fine", "away", "lost"])
chapters = st.lists(st.tuples(steps, st.sampled_from(["wait", "cut", "restart"])), min_size=1, max_size=4)


@settings(max_examples=60)
@given(histories, chapters, st.lists(fates, max_size=12), st.sampled_from([0.0, 0.02]))
def test_nothing_is_lost_or_doubled_by_any_fault(etcd, told, script, interval_s) -> None:
    store, source = FailingStore([*FOUNDING, *script]), ModelSource(etcd)
    base = etcd.head
    running = Running(source, store, GroupCommit(interval_s, 100))
    running.tells("epoch.opened")
    for taken, then in told:
        with source.changing():
            played(etcd, taken)
            if then == "cut":
                source.cut()
        if then == "restart":
            stopped(running)
            source = source.again()
            running = Running(source, store, GroupCommit(interval_s, 100))
    if etcd.history and etcd.history[-1][0] > base:
        last = etcd.history[-1][0]
        running.waits(lambda: (1, last) in recorded(store), f"revision {last}")
    stopped(running)
    assert reasons(store) == ["first"]
    check(store, etcd, base)


def stopped(running: Running) -> None:
    """Stop a capture, which may say that the store failed it at that very moment."""
    running.capture.stop()
    assert isinstance(running.ended(), StoreUnavailable | None)


def test_a_stop_flushes_what_has_come() -> None:
    source, store = new_source(), MemoryStore()
    with capturing(source, store, IN_AN_HOUR):
        for value in (b"2", b"3", b"4"):
            put(source, value)
    check(store, source.etcd, 2)
    assert len(list(store.names("e00000001/log/"))) == 1
    checkpoint = read_checkpoint(store)
    assert checkpoint is not None
    assert (checkpoint.position.revision, checkpoint.through_revision) == (5, 5)


def test_a_stop_before_the_first_change_leaves_an_archive_that_restores() -> None:
    source, store = new_source(), MemoryStore()
    with capturing(source, store):
        pass
    check(store, source.etcd, 2)
    assert restore(store, Latest()).epoch.reason == "first"


def test_a_capture_resumes_where_the_log_ends() -> None:
    source, store = new_source(), MemoryStore()
    with capturing(source, store) as running:
        running.stores(put(source, b"2"))
    put(source, b"3")
    before_restart = restore(store, Latest())
    with capturing(source.again(), store) as running:
        running.stores(4)
        assert [event["revision"] for event in running.events("segment.stored")] == [4]
    check(store, source.etcd, 2)
    late = restore(store, Latest())
    window = late.replay.window
    assert window is not None
    assert window.not_before >= before_restart.replay.observed_at
    assert late.late_by == window.not_after - window.not_before


def test_what_comes_while_we_watch_is_not_late() -> None:
    source, store = new_source(), MemoryStore()
    with capturing(source, store) as running:
        running.stores(put(source, b"2"))
    assert restore(store, Latest()).replay.window is None


def test_what_comes_after_a_silence_is_late_by_that_silence(monkeypatch) -> None:
    monkeypatch.setattr(follow, "_LIVE_WITHIN", timedelta(0))
    source, store = new_source(), MemoryStore()
    with capturing(source, store) as running:
        running.stores(put(source, b"2"))
        running.stores(put(source, b"3"))
    first, second = (restore(store, AtRevision(revision)).replay for revision in (3, 4))
    assert second.window is not None
    assert first.observed_at <= second.window.not_before < second.observed_at == second.window.not_after


def test_an_etcd_that_goes_away_is_waited_for() -> None:
    source, store = new_source(), MemoryStore()
    with capturing(source, store) as running:
        with source.changing():
            source.outages = 3
            source.cut()
        running.tells("watch.lost", 4)
        running.stores(put(source, b"2"))
    check(store, source.etcd, 2)


def test_an_etcd_that_is_away_at_the_start_is_told() -> None:
    source = new_source()
    source.outages = 1
    assert isinstance(Running(source, MemoryStore()).ended(), SourceUnavailable)


def test_a_store_that_is_away_at_the_start_is_told() -> None:
    assert isinstance(Running(new_source(), FailingStore(["away"])).ended(), StoreUnavailable)


def test_a_store_that_goes_away_is_waited_for() -> None:
    source, store = new_source(), FailingStore(FOUNDING + ["away"] * 20)
    with capturing(source, store) as running:
        running.stores(put(source, b"2"))
        assert running.events("store.unavailable") != []
    check(store, source.etcd, 2)


def test_a_store_that_is_still_away_at_the_stop_is_told() -> None:
    source, store = new_source(), FailingStore(FOUNDING + ["away"] * 10_000)
    running = Running(source, store)
    running.tells("watch.started")
    put(source, b"2")
    running.tells("store.unavailable")
    running.capture.stop()
    assert isinstance(running.ended(), StoreUnavailable)
    with capturing(source.again(), store := surviving(store)) as running:
        running.stores(3)
    check(store, source.etcd, 2)


def surviving(store: FailingStore) -> MemoryStore:
    """Return a store with the same objects that no longer fails."""
    healed = MemoryStore()
    healed.objects = store.objects
    return healed


def test_another_prefixs_archive_is_refused() -> None:
    source, store = new_source(), MemoryStore()
    archive = documents.decode(Archive, founded(source), "x")
    other = Archive(format=1, archive_id=archive.archive_id, prefix="/other", created_at=archive.created_at)
    store.create(names.ARCHIVE, documents.encode(other))
    failure = Running(source.again(), store).ended()
    assert isinstance(failure, UsageError)
    assert "/other" in str(failure)
    assert PREFIX in str(failure)
    assert list(store.names("")) == [names.ARCHIVE]


def founded(source: ModelSource) -> bytes:
    """Return the document of an archive that a capture has founded."""
    store = MemoryStore()
    with capturing(source, store):
        pass
    return store.get(names.ARCHIVE)


def test_a_prefix_without_keys_beside_others_is_refused_and_nothing_is_written() -> None:
    source, store = ModelSource(EtcdModel()), MemoryStore()
    source.neighbour = lambda: b"/elsewhere"  # type: ignore[method-assign]
    failure = Running(source, store).ended()
    assert isinstance(failure, UsageError)
    assert "/elsewhere" in str(failure)
    assert store.objects == {}


def test_an_etcd_without_any_keys_is_a_beginning() -> None:
    source, store = ModelSource(EtcdModel()), MemoryStore()
    with capturing(source, store) as running:
        running.tells("source.empty")
        running.stores(put(source, b"first"))
    check(store, source.etcd, 1)


def test_a_crash_between_archive_and_epoch_is_made_good() -> None:
    source, store = new_source(), MemoryStore()
    store.create(names.ARCHIVE, founded(source))
    put(source, b"2")
    with capturing(source.again(), store):
        pass
    check(store, source.etcd, 3)


def test_snapshots_are_cut_by_the_schedule_and_a_missed_one_is_cut_again() -> None:
    source, store = new_source(), MemoryStore()
    create, missed = store.create, []

    def failing_once(name: str, body: bytes) -> None:
        if "snapshots/" in name and "00003@" in name and not missed:
            missed.append(name)
            raise StoreUnavailable("away")
        create(name, body)

    store.create = failing_once  # type: ignore[method-assign]
    running = Running(source, store, AT_ONCE, every="@every 1s")
    running.tells("watch.started")
    running.stores(put(source, b"2"))
    running.tells("snapshot.missed")
    running.tells("snapshot.stored")
    running.stop()
    assert missed[0] in store.objects
    assert restore(store, Latest()).snapshot_revision == 3
