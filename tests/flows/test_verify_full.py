"""`verify --full`: clean on whatever a capture writes, and no damage passes unseen."""

from __future__ import annotations

from datetime import timedelta

import pytest
from archives import Scribe, archives, segments, written
from etcd_model import EtcdModel
from generators import START
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore

from replicator.core import objects
from replicator.core.names import epoch_document, parse_snapshot
from replicator.core.plan import AtRevision
from replicator.core.records import Batch, Event
from replicator.errors import ArchiveDamaged, TargetNotRestorable, UsageError
from replicator.flows.restore import restore
from replicator.flows.resume import resume
from replicator.flows.tip import Watermark
from replicator.flows.verify_full import verify_full

SNAPSHOTS = "e00000001/snapshots/"


def flip(store: MemoryStore, name: str, place: int = 30) -> None:
    body = store.objects[name]
    place %= len(body)
    store.objects[name] = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]


@settings(max_examples=30)
@given(archives())
def test_whatever_a_capture_writes_is_clean(scribe) -> None:
    found = verify_full(scribe.store)

    assert found.damages == ()
    assert {note.first for note in found.notes} <= {"checkpoint.json"}
    assert found.verified.epochs == len(scribe.known)
    assert found.verified.revisions == sum(len(epoch.stamps) - 1 for epoch in scribe.known)
    assert found.verified.segments == sum("/log/" in name for name in scribe.store.objects)
    cut = [name for name in scribe.store.objects if "/snapshots/" in name and ".base." not in name]
    assert found.verified.snapshots == len(cut)
    assert found.verified.size_bytes == sum(map(len, scribe.store.objects.values()))


@settings(max_examples=30)
@given(archives(), st.data())
def test_a_flipped_bit_anywhere_is_found_where_it_is(scribe, data) -> None:
    name = data.draw(st.sampled_from(sorted(scribe.store.objects)))
    flip(scribe.store, name, data.draw(st.integers(0, 1 << 20)))
    found = verify_full(scribe.store)

    if name == "checkpoint.json":
        assert [note.first for note in found.notes] == [name]
    else:
        assert name in {damage.object for damage in found.damages}
        assert all(damage.lost and damage.remedy for damage in found.damages)


@settings(max_examples=30)
@given(archives(), st.data())
def test_what_can_no_longer_be_restored_is_found(scribe, data) -> None:
    doomed = st.lists(st.sampled_from(sorted(scribe.store.objects.keys() - {"archive.json"})), max_size=3)
    for name in data.draw(doomed):
        scribe.store.delete(name)
    lost = []
    for epoch in scribe.known:
        for revision, _ in epoch.stamps:
            try:
                restore(scribe.store, AtRevision(revision))
            except ArchiveDamaged as error:
                lost.append(error)
            except (TargetNotRestorable, UsageError):
                pass  # a log's last segment: without a checkpoint nothing tells that there was one
    try:
        damages = verify_full(scribe.store).damages
    except UsageError:  # no epoch is left, and nothing tells that there was one
        assert not any(name.endswith("epoch.json") for name in scribe.store.objects)
        return
    assert damages or not lost


@settings(max_examples=30)
@given(archives())
def test_a_snapshot_that_is_only_looked_at_is_proved_as_one_that_is_held(scribe) -> None:
    for name, body in scribe.store.objects.items():
        if "/snapshots/" in name:
            held = objects.decode_snapshot(body, name)
            assert objects.inspect_snapshot(body, name) == (held.header, held.footer, held.digest)
    with pytest.raises(ArchiveDamaged):
        objects.inspect_snapshot(body[:-1], "x")


def test_one_run_lists_all_damages_and_what_they_cost() -> None:
    scribe = written(cut_after=(2, 4))
    log = segments(scribe)
    early, late = (name for name in scribe.store.names(SNAPSHOTS) if parse_snapshot(name))
    flip(scribe.store, log[0])  # revision 3: lost up to the snapshot at 4
    flip(scribe.store, late)  # the snapshot at 6; the log up to there is whole
    scribe.store.delete(log[5])  # revision 8, which the checkpoint promises
    scribe.watch_on(Watermark(8, START + timedelta(seconds=9)))
    found = {damage.object: damage for damage in verify_full(scribe.store).damages}

    assert list(found) == [log[0], late, log[5]]
    assert found[log[0]].lost == (
        "after revision 2 (2026-01-01T00:00:00.000000Z) and before revision 4 (2026-01-01T00:00:02.000000Z)"
    )
    assert "or delete it: the log up to there is whole" in found[late].remedy
    assert "the checkpoint tells of revision 8" in found[log[5]].what
    assert early not in found
    for revision in (2, 4, 5):
        assert restore(scribe.store, AtRevision(revision)).state.revision == revision
    for revision in (3, 6, 8):
        with pytest.raises(ArchiveDamaged):
            restore(scribe.store, AtRevision(revision))
    scribe.store.delete(late)
    assert restore(scribe.store, AtRevision(6)).state.revision == 6


def test_a_hole_goes_on_to_the_next_snapshot_or_to_the_end() -> None:
    scribe = written(cut_after=(3,))
    log = segments(scribe)
    scribe.store.delete(log[1])
    scribe.store.delete(log[4])
    first, second = verify_full(scribe.store).damages

    assert (first.object, second.object) == (log[1], log[4])
    assert first.lost.startswith("after revision 3 ")
    assert " before revision 5 " in first.lost
    assert second.lost.endswith("to the log's end")


@pytest.mark.parametrize(("here", "there"), [(0, 1), (4, 2)])
def test_an_object_under_anothers_name_is_found(here, there) -> None:
    scribe = written(cut_after=(3,))
    log = segments(scribe)
    scribe.store.objects[log[here]] = scribe.store.objects[log[there]]
    (damage,) = verify_full(scribe.store).damages

    assert damage.object == log[here]
    assert "holds another object" in damage.what


def test_a_whole_snapshot_of_another_history_is_found() -> None:
    """It proves itself; only the log says something else."""
    scribe, other = written(cut_after=(3,)), Scribe(MemoryStore())
    etcd = EtcdModel()
    etcd.put(b"/apisix/a", b"0")
    other.open(etcd, START)
    for number in range(1, 4):
        etcd.put(b"/apisix/a", b"another %d" % number)
        other.append([Batch(etcd.head, START + timedelta(seconds=number), etcd.history[-1][1])])
    other.snapshot()
    (name,) = (name for name in scribe.store.names(SNAPSHOTS) if parse_snapshot(name))
    scribe.store.objects[name] = other.store.objects[name]
    (damage,) = verify_full(scribe.store).damages

    assert damage.object == name
    assert "its state isn't what the log gives" in damage.what


def test_leftovers_are_notes() -> None:
    scribe = written()
    stale = resume(scribe.store, "stale-writer")
    etcd = EtcdModel(20)
    etcd.put(b"/apisix/b", b"new")
    scribe.open(etcd, START + timedelta(seconds=60), "compacted")
    name, body, *_ = stale.seal((Batch(9, START + timedelta(seconds=7), stale_events(9)),), None)
    scribe.store.create(str(name), body)
    base = next(iter(scribe.store.names("e00000002/snapshots/")))
    twin = base.replace("00021@", "00020@")
    scribe.store.create(twin, b"of a process that was killed")
    scribe.store.create("probe/1", b"")
    scribe.store.create("e00000001/log/notes.txt", b"")
    found = verify_full(scribe.store)

    assert found.damages == ()
    assert [(note.first, note.objects) for note in found.notes] == [
        ("checkpoint.json", 1),
        ("e00000001/log/notes.txt", 2),
        (twin, 1),
        (str(name), 1),
    ]


def test_a_stray_inside_of_what_a_segment_holds_is_a_note() -> None:
    fresh = written()
    one, two = stale_events(9)[0], stale_events(10, b"/apisix/second")[0]
    fresh.append(
        [
            Batch(9, START + timedelta(seconds=20), (one,)),
            Batch(10, START + timedelta(seconds=21), (two,)),
        ]
    )
    stray = "e00000001/log/00000000000000000009.jsonl.zst"
    fresh.store.create(stray, b"whatever")
    found = verify_full(fresh.store)

    assert found.damages == ()
    assert stray in {note.first for note in found.notes}


def stale_events(revision: int, key: bytes = b"/apisix/stale") -> tuple[Event, ...]:
    etcd = EtcdModel(revision - 1)
    etcd.put(key, b"x")
    return etcd.history[-1][1]


def test_what_the_next_epoch_says_of_the_end_must_fit() -> None:
    scribe = written()
    scribe.open(EtcdModel(20), START + timedelta(seconds=60), "compacted")
    scribe.store.delete(segments(scribe)[-1])
    (damage,) = verify_full(scribe.store).damages

    assert damage.object == "e00000001/log/00000000000000000007.jsonl.zst"
    assert "the history goes on to revision 8" in damage.what


def test_an_epoch_far_away_is_told_in_few_words() -> None:
    scribe = written()
    far = "e99999999/log/00000000000000000009.jsonl.zst"
    scribe.store.create(far, b"whatever")
    damages = verify_full(scribe.store).damages

    assert [damage.object for damage in damages] == ["e00000002/epoch.json", "e99999999/epoch.json"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_epoch_under_anothers_name_is_found(number) -> None:
    scribe = written()
    for place in (1, 2):
        scribe.open(EtcdModel(20 * place), START + timedelta(minutes=place), "compacted")
    name, other = epoch_document(number), epoch_document(number % 3 + 1)
    scribe.store.objects[name] = scribe.store.objects[other]

    assert name in {damage.object for damage in verify_full(scribe.store).damages}


def test_an_archive_that_is_none_is_no_damage() -> None:
    with pytest.raises(UsageError, match="there is no archive"):
        verify_full(MemoryStore())
