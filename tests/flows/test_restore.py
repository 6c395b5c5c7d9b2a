"""Restores: exact for every target of any archive, and never from anything but what was written."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest
from answers import expect, targets
from archives import Scribe, archives
from etcd_model import EtcdModel
from generators import START
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore

from replicator.core.names import epoch_document
from replicator.core.plan import AtRevision, AtTime, Latest
from replicator.core.records import Batch, Event, Record, Window
from replicator.errors import ArchiveDamaged, TargetNotRestorable, UsageError
from replicator.flows.restore import restore
from replicator.flows.resume import resume
from replicator.flows.tip import Watermark


@settings(max_examples=60)
@given(archives())
def test_every_target_of_any_archive_gives_what_etcd_held(scribe) -> None:
    for target in targets(scribe.known):
        expect(scribe, target)


@settings(max_examples=30)
@given(archives(), st.data())
def test_a_restore_needs_no_snapshot_but_an_epochs_own(scribe, data) -> None:
    bases = {restore(scribe.store, AtTime(epoch.stamps[0][1])).epoch.snapshot for epoch in scribe.known}
    cut = sorted(name for name in scribe.store.objects if "/snapshots/" in name and name not in bases)
    for name in cut:
        if data.draw(st.booleans()):
            scribe.store.delete(name)
    for epoch in scribe.known:
        for revision, stamp in epoch.stamps:
            expect(scribe, AtRevision(revision))
            expect(scribe, AtTime(stamp))


@settings(max_examples=60)
@given(archives())
def test_resuming_gives_back_what_the_writer_had(scribe) -> None:
    tip, resumed = scribe.tip, resume(scribe.store, "another-writer")
    assert tip is not None
    assert list(tip.state.items()) == list(resumed.state.items())
    assert (tip.epoch, tip.position, tip.anchor, tip.observed_at, tip.window, tip.sealed) == (
        resumed.epoch,
        resumed.position,
        resumed.anchor,
        resumed.observed_at,
        resumed.window,
        resumed.sealed,
    )
    assert tip.watermark == resumed.watermark
    assert tip.tail_bytes == resumed.tail_bytes
    assert tip.snapshot_revision == resumed.snapshot_revision


def small_archive(archive_id: str = "some-archive", cut_after: int | None = None) -> Scribe:
    """Return a scribe that has written a base at revision 2 and six segments of a revision each: 3 to 8.

    A snapshot lies after *cut_after* of them.
    """
    scribe = Scribe(MemoryStore(), archive_id)
    write_small_archive(scribe, cut_after)
    return scribe


def write_small_archive(scribe: Scribe, cut_after: int | None) -> None:
    """Do so."""
    etcd = EtcdModel()
    etcd.put(b"/apisix/a", b"0")
    scribe.open(etcd, START)
    for number in range(1, 7):
        etcd.put(b"/apisix/a", b"%d" % number)
        scribe.append([Batch(etcd.head, START + timedelta(seconds=number), etcd.history[-1][1])])
        if number == cut_after:
            scribe.snapshot()


def segments(scribe: Scribe) -> list[str]:
    """Return the names of all its segments."""
    return list(scribe.store.names("e00000001/log/"))


@pytest.mark.parametrize(("here", "there"), list(permutations(range(6), 2)))
def test_a_segment_under_anothers_name_is_refused(here, there) -> None:
    scribe = small_archive()
    names = segments(scribe)
    scribe.store.objects[names[here]] = scribe.store.objects[names[there]]
    with pytest.raises(ArchiveDamaged, match="holds another object: revision"):
        restore(scribe.store, AtRevision(here + 3))
    assert restore(scribe.store, AtRevision(here + 2)).state.revision == here + 2


def test_a_segment_of_another_archive_is_refused() -> None:
    scribe, other = small_archive(), small_archive("another-archive")
    for name in segments(scribe):
        whole = scribe.store.objects[name]
        scribe.store.objects[name] = other.store.objects[name]
        with pytest.raises(ArchiveDamaged, match="of archive another-archive"):
            restore(scribe.store, AtRevision(8))
        scribe.store.objects[name] = whole


def test_a_snapshot_under_anothers_name_is_refused() -> None:
    scribe = small_archive(cut_after=3)
    base, cut = scribe.store.names("e00000001/snapshots/")
    scribe.store.objects[cut] = scribe.store.objects[base]
    with pytest.raises(ArchiveDamaged, match="holds another object: revision 2"):
        restore(scribe.store, Latest())


def test_a_segment_of_another_history_breaks_the_chain() -> None:
    """Its place, its events and its digest are right; only what it follows isn't ours."""
    scribe, forked = small_archive(), Scribe(MemoryStore(), writer="another-writer")
    write_small_archive(forked, None)
    name = segments(scribe)[4]
    scribe.store.objects[name] = forked.store.objects[name]
    with pytest.raises(ArchiveDamaged, match="the hash chain is broken"):
        restore(scribe.store, Latest())


@pytest.mark.parametrize("cut_after", [None, 3])
@pytest.mark.parametrize("place", range(5))
def test_a_segment_that_is_missing_amid_the_log_is_told_where_it_is_needed(place, cut_after) -> None:
    scribe = small_archive(cut_after=cut_after)
    scribe.store.delete(segments(scribe)[place])
    for revision in range(2, 9):
        begin = 5 if cut_after and revision >= 5 else 2
        if begin < place + 3 <= revision:
            with pytest.raises(ArchiveDamaged, match="missing"):
                restore(scribe.store, AtRevision(revision))
        else:
            assert restore(scribe.store, AtRevision(revision)).state.revision == revision


def test_a_last_segment_that_is_missing_is_told_by_the_checkpoint() -> None:
    scribe = small_archive()
    scribe.watch_on(Watermark(8, START + timedelta(seconds=9)))
    scribe.store.delete(segments(scribe)[-1])
    for target in (Latest(), AtRevision(8), AtTime(START + timedelta(seconds=8))):
        with pytest.raises(ArchiveDamaged, match="ends at revision 7, but revision 8 was recorded"):
            restore(scribe.store, target)
    assert restore(scribe.store, AtRevision(7)).state.revision == 7


def test_without_a_checkpoint_the_archive_ends_where_its_log_does() -> None:
    scribe = small_archive()
    scribe.store.delete(segments(scribe)[-1])
    assert restore(scribe.store, Latest()).state.revision == 7
    with pytest.raises(TargetNotRestorable, match="after the watermark"):
        restore(scribe.store, AtRevision(8))


def test_a_last_epoch_that_is_missing_is_told_by_the_checkpoint() -> None:
    scribe = small_archive()
    etcd = EtcdModel(20)
    scribe.open(etcd, START + timedelta(seconds=60), "cluster_changed")
    scribe.watch_on(Watermark(20, START + timedelta(seconds=90)))
    scribe.store.delete(epoch_document(2))
    with pytest.raises(ArchiveDamaged, match=r"e00000002/epoch\.json is missing"):
        restore(scribe.store, Latest())


def test_a_damaged_checkpoint_is_as_good_as_none() -> None:
    scribe = small_archive()
    scribe.watch_on(Watermark(8, START + timedelta(seconds=9)))
    scribe.store.objects["checkpoint.json"] = scribe.store.objects["checkpoint.json"][:-9]
    assert restore(scribe.store, Latest()).state.revision == 8
    with pytest.raises(TargetNotRestorable, match="after the watermark"):
        restore(scribe.store, AtTime(START + timedelta(seconds=8)))


@pytest.mark.parametrize("kind", ["archive.json", "epoch.json", ".base.", "/log/"])
def test_a_changed_byte_in_any_object_that_is_needed_is_told(kind) -> None:
    scribe = small_archive()
    for name in [name for name in scribe.store.objects if kind in name]:
        whole = scribe.store.objects[name]
        scribe.store.objects[name] = whole[:30] + bytes([whole[30] ^ 1]) + whole[31:]
        with pytest.raises(ArchiveDamaged, match=f"{name} is damaged"):
            restore(scribe.store, Latest())
        scribe.store.objects[name] = whole


@pytest.mark.parametrize("lost", [".base.", "/log/"])
def test_an_object_that_vanishes_under_our_hands_is_told(lost) -> None:
    scribe = small_archive()
    get = scribe.store.get

    def vanishing(name: str) -> bytes:
        if lost in name:
            scribe.store.objects.pop(name, None)
        return get(name)

    scribe.store.get = vanishing  # type: ignore[method-assign]
    with pytest.raises(ArchiveDamaged, match=r"segments between are missing|.base.* is missing"):
        restore(scribe.store, Latest())


def test_what_a_stale_writer_adds_to_an_old_epoch_doesnt_count() -> None:
    scribe = small_archive()
    stale = resume(scribe.store, "stale-writer")
    etcd = EtcdModel(20)
    etcd.put(b"/apisix/b", b"new")
    scribe.open(etcd, START + timedelta(seconds=60), "compacted")
    sealed = stale.seal((Batch(9, START + timedelta(seconds=7), (born(b"/apisix/stale", 9),)),), None)
    scribe.store.create(str(sealed.name), sealed.body)
    assert restore(scribe.store, AtRevision(8)).state.revision == 8
    assert restore(scribe.store, Latest()).epoch.epoch == 2
    for target in (AtRevision(9), AtTime(START + timedelta(seconds=7))):
        with pytest.raises(TargetNotRestorable, match="in the gap"):
            restore(scribe.store, target)


def born(key: bytes, revision: int) -> Event:
    """Return the event of a new key."""
    return Event(key, Record(b"x", revision, revision, 1, 0))


def test_what_arrived_late_is_told_with_its_window() -> None:
    scribe = small_archive()
    window = Window(START + timedelta(seconds=10), START + timedelta(seconds=14))
    event = born(b"/apisix/late", 9)
    scribe.append([Batch(9, START + timedelta(seconds=14), (event,), window)])
    for seconds, late_by, revision in [(10, 0, 8), (11, 4, 8), (14, 4, 9)]:
        restored = restore(scribe.store, AtTime(START + timedelta(seconds=seconds)))
        assert (late_by, revision) == (restored.late_by.total_seconds(), restored.state.revision)
    assert restore(scribe.store, AtRevision(8)).late_by == timedelta(0)
    assert restore(scribe.store, Latest()).late_by == timedelta(seconds=4)
    assert resume(scribe.store, "w").window == window


def test_no_archive_and_an_empty_one_are_told() -> None:
    with pytest.raises(UsageError, match=r"no archive at .*: archive\.json is missing"):
        restore(MemoryStore(), Latest())
    with pytest.raises(UsageError, match="nothing was recorded in this archive yet"):
        restore(Scribe(MemoryStore()).store, Latest())
