"""A tail is where a restore would be, whatever happens to the archive meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from archives import Scribe, archives, segments, written
from captures import Running, capturing, new_source, put
from etcd_model import EtcdModel
from generators import START
from hypothesis import given, settings
from hypothesis import strategies as st
from journal import Journal
from memory_store import MemoryStore
from merging import merge, merge_at_random
from servers.clock import SteppedClock
from servers.command import until

from replicator.adapters.clock import SystemClock
from replicator.adapters.directory import DirectoryStore
from replicator.adapters.s3 import S3Options, S3Store
from replicator.core import names
from replicator.core.plan import AtRevision, Latest
from replicator.core.records import Batch
from replicator.errors import ArchiveDamaged, StoreUnavailable, UsageError
from replicator.flows.open_archive import log
from replicator.flows.restore import restore
from replicator.flows.tail import Tail
from replicator.flows.tip import Watermark

if TYPE_CHECKING:
    from pathlib import Path

    from servers.moto import S3Server

    from replicator.core.records import Record
    from replicator.ports import ObjectStore


class Mirror:
    """A tail, and a dict that is kept by what it tells alone."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.clock = SteppedClock()
        self.tail = Tail(store, self.clock)
        self.held: dict[bytes, Record] = {}

    def poll(self) -> None:
        """Poll, and check that what is told of the state is true of it."""
        before = dict(self.held)
        is_new = self.tail.poll()
        state, news = self.tail.state, self.tail.take_news()
        if news is None:
            self.held = dict(state.items())
        else:
            self.held.update((key, record) for key in news if (record := state.get(key)))
            for key in news:
                if state.get(key) is None:
                    self.held.pop(key, None)
        assert dict(state.items()) == self.held
        assert is_new or before == self.held

    def agrees(self, restored: Any) -> None:
        """Check that the tail is where *restored* is."""
        assert (restored.epoch.epoch, restored.state.revision) == (self.tail.epoch, self.tail.state.revision)
        assert restored.state.digest == self.tail.state.digest
        assert restored.replay.observed_at == self.tail.observed_at


@settings(max_examples=40, deadline=None)
@given(archives(make_store=Journal), st.data())
def test_polled_at_any_moments_it_holds_what_a_restore_gives(scribe, data) -> None:
    """The archive is written, and merged at random in the end; the tail sees it grow step by step."""
    for known in scribe.known:
        merge_at_random(scribe.store, known.number, data)
    store = MemoryStore()
    mirror = Mirror(store)
    for name, body in scribe.store.steps:
        if body is None:
            store.objects.pop(name, None)
        else:
            store.objects[name] = body
        if not data.draw(st.booleans(), label=f"poll after {name}"):
            continue
        mirror.clock.sleep(data.draw(st.sampled_from([0.0, 1.0, 6.0, 61.0])))
        if names.epoch_document(1) not in store.objects:
            with pytest.raises(UsageError):
                mirror.poll()
            continue
        mirror.poll()
        mirror.agrees(restore(store, AtRevision(mirror.tail.state.revision, mirror.tail.epoch)))
    mirror.clock.sleep(301.0)
    mirror.poll()
    newest = restore(store, Latest())
    mirror.agrees(newest)
    mirror.clock.sleep(6.0)
    mirror.poll()
    assert newest.reach.observed_through <= mirror.tail.observed_through <= scribe.known[-1].through.moment


def growing() -> tuple[Scribe, Journal, EtcdModel]:
    """Return a scribe whose archive has three segments, its store, and the etcd that it records."""
    journal, etcd = Journal(), EtcdModel()
    scribe = Scribe(journal)
    scribe.open(etcd, START)
    for _ in range(3):
        grow(scribe, etcd)
    return scribe, journal, etcd


def grow(scribe: Scribe, etcd: EtcdModel) -> str:
    """Append a segment of one revision; return its name."""
    etcd.put(b"/apisix/routes/%d" % (etcd.head % 5), b"%d" % etcd.head)
    return scribe.append([Batch(etcd.head, START + timedelta(seconds=etcd.head), etcd.history[-1][1])])


def followed() -> tuple[Scribe, Journal, EtcdModel, Mirror]:
    """Return an archive and a tail that has begun."""
    scribe, journal, etcd = growing()
    mirror = Mirror(journal)
    mirror.poll()
    journal.asked.clear()
    return scribe, journal, etcd, mirror


def test_a_poll_is_one_get_and_never_a_list() -> None:
    scribe, journal, etcd, mirror = followed()
    for _ in range(120):
        mirror.clock.sleep(1.0)
        mirror.poll()
        grow(scribe, etcd)
        scribe.watch_on(Watermark(etcd.head, START + timedelta(seconds=etcd.head)))
    assert [name for name in journal.asked if name.startswith("LIST")] == []
    assert len([name for name in journal.asked if "/log/" in name]) < 2 * 120
    assert len([name for name in journal.asked if "/log/" not in name]) <= 120 / 5 + 2 * 120 / 15


def test_an_idle_archive_is_never_listed_while_its_writer_says_so_each_minute() -> None:
    scribe, journal, etcd, mirror = followed()
    for second in range(600):
        mirror.clock.sleep(1.0)
        if second % 60 == 0:
            scribe.watch_on(Watermark(etcd.head, START + timedelta(hours=1, seconds=second)))
        mirror.poll()
    assert [name for name in journal.asked if name.startswith("LIST")] == []


def test_a_silent_archive_is_listed_seldom_and_what_was_merged_meanwhile_is_found() -> None:
    scribe, journal, etcd, mirror = followed()
    scribe.watch_on(Watermark(etcd.head, START + timedelta(hours=1)))  # the last that its writer says
    made = [grow(scribe, etcd) for _ in range(3)]
    merge(journal, [name for name in log(journal, 1) if str(name) in made])
    for name in made:
        journal.delete(name)
    journal.asked.clear()
    for _ in range(900):
        mirror.clock.sleep(1.0)
        mirror.poll()
    assert mirror.tail.state.revision == etcd.head
    assert 0 < len([name for name in journal.asked if name.startswith("LIST")]) <= 2 * 900 / 150


def test_segments_that_were_merged_away_are_found_as_soon_as_the_checkpoint_tells() -> None:
    scribe, journal, etcd, mirror = followed()
    made = [grow(scribe, etcd) for _ in range(3)]
    merge(journal, [name for name in log(journal, 1) if str(name) in made])
    for name in made:
        journal.delete(name)
    mirror.poll()
    assert mirror.tail.state.revision == etcd.head - 3
    scribe.watch_on(Watermark(etcd.head, START + timedelta(hours=1)))
    mirror.clock.sleep(6.0)
    mirror.poll()
    assert (mirror.tail.state.revision, mirror.tail.observed_through) == (
        etcd.head,
        START + timedelta(hours=1),
    )


def test_without_a_checkpoint_they_are_found_within_a_minute() -> None:
    scribe, journal, etcd, mirror = followed()
    made = [grow(scribe, etcd) for _ in range(3)]
    merge(journal, [name for name in log(journal, 1) if str(name) in made])
    for name in made:
        journal.delete(name)
    mirror.clock.sleep(61.0)
    mirror.poll()
    assert mirror.tail.state.revision == etcd.head


@pytest.mark.parametrize("tells", ["checkpoint", "time"])
def test_the_next_epoch_is_entered(tells: str) -> None:
    scribe, _, etcd, mirror = followed()
    etcd.put(b"/apisix/unseen", b"1")
    scribe.open(etcd, START + timedelta(hours=1), "compacted")
    if tells == "checkpoint":
        scribe.watch_on(Watermark(etcd.head, START + timedelta(hours=2)))
    mirror.clock.sleep(6.0 if tells == "checkpoint" else 61.0)
    mirror.poll()
    assert (mirror.tail.epoch, mirror.tail.state.revision) == (2, etcd.head)
    assert b"/apisix/unseen" in mirror.held


def test_another_archive_under_the_same_name_is_noticed() -> None:
    _, journal, _, mirror = followed()
    other = Scribe(MemoryStore(), archive_id="another")
    other.open(EtcdModel(), START)
    journal.objects = other.store.objects
    mirror.clock.sleep(61.0)
    mirror.poll()
    assert mirror.tail.archive.archive_id == "another"


def test_a_store_that_is_away_costs_nothing_that_was_known() -> None:
    scribe, journal, etcd, mirror = followed()
    grow(scribe, etcd)
    journal.is_away = True
    with pytest.raises(StoreUnavailable):
        mirror.poll()
    assert mirror.tail.state.revision == etcd.head - 1
    journal.is_away = False
    mirror.poll()
    assert mirror.tail.state.revision == etcd.head


def test_a_damaged_segment_is_told_at_each_poll_and_asked_for_again_after_growing_pauses() -> None:
    scribe, journal, etcd, mirror = followed()
    name = grow(scribe, etcd)
    whole = journal.objects[name]
    journal.objects[name] = whole[:-1]
    with pytest.raises(ArchiveDamaged):
        mirror.poll()
    journal.asked.clear()
    for _ in range(4):
        mirror.clock.sleep(1.0)
        with pytest.raises(ArchiveDamaged):
            mirror.poll()
    assert journal.asked == []
    mirror.clock.sleep(2.0)
    with pytest.raises(ArchiveDamaged):
        mirror.poll()
    assert journal.asked
    journal.objects[name] = whole
    mirror.clock.sleep(10.1)
    mirror.poll()
    assert mirror.tail.state.revision == etcd.head


def test_an_end_that_the_checkpoint_promises_and_nobody_finds_is_damage() -> None:
    scribe, journal, etcd, mirror = followed()
    journal.delete(grow(scribe, etcd))
    scribe.watch_on(Watermark(etcd.head, START + timedelta(hours=1)))
    mirror.clock.sleep(6.0)
    with pytest.raises(ArchiveDamaged, match="missing"):
        mirror.poll()


def test_a_stray_right_where_it_stands_is_passed_over_once_the_log_goes_on_elsewhere() -> None:
    scribe, journal, etcd, mirror = followed()
    made = [grow(scribe, etcd) for _ in range(3)]
    merge(journal, [name for name in log(journal, 1) if str(name) in made])
    for name in made:
        journal.delete(name)
    stray = written().store.objects[segments(written())[0]]
    journal.objects[made[0]] = stray
    mirror.poll()
    assert mirror.tail.state.revision == etcd.head


def test_a_damaged_snapshot_is_passed_over_and_told() -> None:
    scribe = written(cut_after=(3,))
    name = next(name for name in scribe.store.objects if "/snapshots/" in name and "base" not in name)
    scribe.store.objects[name] = b"no snapshot"
    told: list[ArchiveDamaged] = []
    tail = Tail(scribe.store, SteppedClock(), told.append)
    tail.poll()
    assert tail.state.revision == 8
    assert [name in str(damage) for damage in told] == [True]


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, s3_server: S3Server, bucket: str) -> ObjectStore:
    """Return a real store."""
    if request.param == "directory":
        return DirectoryStore(tmp_path / "archive")
    options = S3Options(s3_server.endpoint, "us-east-1", access_key="some-id", secret_key="some-secret")
    return S3Store(bucket, "archive", options)


def test_beside_a_live_writer(store: ObjectStore, quick: None) -> None:  # noqa: ARG001 (a fixture)
    source = new_source()
    with capturing(source, store) as recorder:
        tail = Tail(store, SystemClock())
        tail.poll()
        for number in range(5):
            revision = put(source, b"%d" % number)
            recorder.stores(revision)
            until(lambda: tail.poll() or tail.state.revision == revision, f"revision {revision}")  # noqa: B023
            assert dict(tail.state.items()) == source.etcd.states[revision]


def test_it_follows_a_writer_at_work_into_the_next_epoch(quick: None) -> None:  # noqa: ARG001 (a fixture)
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
