"""Gaps: what differs across each is on record, it can be acknowledged, and crossed only on purpose."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from archives import TICK, Known, Scribe, archives
from captures import capturing, new_source, put
from etcd_model import EtcdModel
from generators import START
from hypothesis import given, settings
from memory_store import MemoryStore
from msgspec import structs

from replicator.core import documents, names
from replicator.core.plan import AtRevision, AtTime, Target
from replicator.errors import ArchiveDamaged, TargetNotRestorable, UsageError, WriterFenced
from replicator.flows.gaps import acknowledge, differences, find_gaps, gap_before
from replicator.flows.open_archive import open_archive
from replicator.flows.restore import restore


def between(before: Known, after: Known) -> list[Target]:
    """Return targets in the gap between two epochs."""
    begins, ends = before.through, after.stamps[0]
    moments = [begins.moment + TICK, ends[1] - TICK]
    revisions = range(begins.revision + 1, ends[0])
    return [
        *(AtTime(moment) for moment in moments if begins.moment < moment < ends[1]),
        *map(AtRevision, revisions),
    ]


@settings(max_examples=60)
@given(archives())
def test_a_target_in_a_gap_gives_the_last_state_before_it_if_that_is_allowed(scribe) -> None:
    for before, after in pairwise(scribe.known):
        for target in between(before, after):
            if not lies_in_a_gap(scribe, target):  # another epoch knows that revision, or may know it yet
                assert isinstance(target, AtRevision)
                continue
            restored = restore(scribe.store, target, allow_gap=True)
            assert restored.gap is not None
            assert restored.gap.epoch == restored.epoch.epoch + 1
            assert isinstance(target, AtRevision) or restored.epoch.epoch == before.number
            known = scribe.known[restored.epoch.epoch - 1]
            last = known.stamps[-1][0]
            assert restored.state.revision == last
            assert sorted(known.states[last].items()) == list(restored.state.items())


def lies_in_a_gap(scribe: Scribe, target: Target) -> bool:
    """Tell whether a restore is refused for that reason; what else it does, it must do with a leave too."""
    try:
        plain = restore(scribe.store, target)
    except TargetNotRestorable as refusal:
        if "in the gap" in str(refusal):
            return "--allow-gap" in refusal.hint
        with pytest.raises(TargetNotRestorable):
            restore(scribe.store, target, allow_gap=True)
    else:
        allowed = restore(scribe.store, target, allow_gap=True)
        assert (plain.epoch, plain.state.digest) == (allowed.epoch, allowed.state.digest)
        assert allowed.gap is None
    return False


@settings(max_examples=60)
@given(archives())
def test_each_gap_is_on_record(scribe) -> None:
    opened = open_archive(scribe.store)
    found = find_gaps(scribe.store, opened.epochs)
    assert [gap.epoch.epoch for gap in found] == [known.number for known in scribe.known[1:]]
    for gap, before, after in zip(found, scribe.known, scribe.known[1:], strict=False):
        old, new = before.states[before.stamps[-1][0]], after.states[after.stamps[0][0]]
        told = differences(scribe.store, opened.archive, gap)
        expected = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
        assert expected == [one.raw_key for one in told]
        assert gap.length > timedelta(0)


def test_after_the_watermark_and_before_history_are_no_gaps() -> None:
    scribe = two_epochs()
    for target in (AtRevision(1), AtRevision(99)):
        with pytest.raises(TargetNotRestorable):
            restore(scribe.store, target, allow_gap=True)


def two_epochs() -> Scribe:
    """Return an archive with a gap between revisions 3 and 6."""
    scribe, etcd = Scribe(MemoryStore()), EtcdModel(2)
    etcd.put(b"/apisix/a", b"1")
    scribe.open(etcd, START)
    etcd.put(b"/apisix/a", b"2")
    etcd.put(b"/apisix/b", b"2")
    etcd.delete(b"/apisix/a")
    scribe.open(etcd, START + timedelta(minutes=5), "compacted")
    return scribe


def test_a_gap_is_acknowledged_once() -> None:
    scribe = two_epochs()
    store = scribe.store
    (open_one,) = find_gaps(store, open_archive(store).epochs)
    assert open_one.acknowledged is None
    assert acknowledge(store, open_one, START, "seen") is None
    (seen,) = find_gaps(store, open_archive(store).epochs)
    assert seen.acknowledged is not None
    assert (seen.acknowledged.note, seen.acknowledged.acknowledged_at) == ("seen", START)
    for again in (open_one, seen):  # one of them didn't know yet
        first = acknowledge(store, again, START + TICK, "seen too")
        assert first == seen.acknowledged
    assert find_gaps(store, open_archive(store).epochs) == (seen,)


def test_where_there_is_no_gap_there_is_none_to_name() -> None:
    store = two_epochs().store
    found = find_gaps(store, open_archive(store).epochs)
    assert gap_before(2, found) is found[0]
    for number in (1, 3):
        with pytest.raises(UsageError, match=f"no gap before epoch {number}") as caught:
            gap_before(number, found)
        assert "gap: 2" in caught.value.hint


def test_a_record_that_is_not_the_epochs_own_is_damage() -> None:
    store = two_epochs().store
    opened = open_archive(store)
    (gap,) = find_gaps(store, opened.epochs)
    assert gap.epoch.gap is not None
    name = gap.epoch.gap.name
    store.objects[name] = two_epochs_of_another_writer(name)
    with pytest.raises(ArchiveDamaged, match="another record"):
        differences(store, opened.archive, gap)
    del store.objects[name]
    with pytest.raises(ArchiveDamaged, match="is missing"):
        differences(store, opened.archive, gap)


def two_epochs_of_another_writer(name: str) -> bytes:
    """Return the record under *name* as another process would have written it."""
    scribe, etcd = Scribe(MemoryStore(), writer="another"), EtcdModel(2)
    scribe.open(etcd, START)
    scribe.open(etcd, START + timedelta(minutes=5), "compacted")
    return scribe.store.get(name)


class Killed(BaseException):
    """Our process's end."""


class Deadly(MemoryStore):
    """Kills whoever creates the object number *at*, before or after it is there."""

    def __init__(self) -> None:
        super().__init__()
        self.at, self.is_after = 0, False

    def create(self, name: str, body: bytes) -> None:
        """Do as `MemoryStore`, or kill."""
        self.at -= 1
        if self.at == 0 and not self.is_after:
            raise Killed
        super().create(name, body)
        if self.at == 0:
            raise Killed


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", [1, 2, 3], ids=["the base", "the record", "the document"])
def test_an_epoch_that_a_killed_process_began_to_open_is_opened_by_the_next(at, is_after) -> None:
    store, etcd = Deadly(), EtcdModel(2)
    scribe = Scribe(store)
    etcd.put(b"/apisix/a", b"1")
    scribe.open(etcd, START)
    etcd.put(b"/apisix/a", b"2")
    store.at, store.is_after = at, is_after
    with pytest.raises(Killed):
        scribe.open(etcd, START + timedelta(minutes=5), "compacted")
    scribe.writer = "the next"
    etcd.put(b"/apisix/b", b"1")
    is_open = (at, is_after) == (3, True)
    assert is_open == (names.epoch_document(2) in store.objects)
    if is_open:
        with pytest.raises(WriterFenced):
            scribe.open(etcd, START + timedelta(minutes=6), "compacted")
    else:
        scribe.open(etcd, START + timedelta(minutes=6), "compacted")
    opened = open_archive(store)
    (gap,) = find_gaps(store, opened.epochs)
    expected = [b"/apisix/a"] if is_open else [b"/apisix/a", b"/apisix/b"]
    assert expected == [one.raw_key for one in differences(store, opened.archive, gap)]
    assert restore(store, AtRevision(gap.epoch.base)).epoch == gap.epoch


def test_an_epoch_of_a_version_without_gap_records_is_read_all_the_same() -> None:
    store = two_epochs().store
    opened = open_archive(store)
    (gap,) = find_gaps(store, opened.epochs)
    assert gap.epoch.gap is not None
    del store.objects[gap.epoch.gap.name]
    older = structs.replace(gap.epoch, gap=None)
    body = documents.encode(older)
    store.objects[names.epoch_document(2)] = body
    (gap,) = find_gaps(store, open_archive(store).epochs)
    with pytest.raises(UsageError, match="no gap record"):
        differences(store, opened.archive, gap)
    assert restore(store, AtRevision(6)).state.revision == 6


def test_a_record_whose_epoch_was_never_opened_doesnt_count() -> None:
    """Its writer was killed before the epoch's document."""
    source, store = new_source(), MemoryStore()
    with capturing(source, store) as running:
        running.stores(put(source, b"2"))
        with source.changing():
            source.cluster_id = "c2"
            source.cut()
        running.tells("gap.found")
    del store.objects[names.epoch_document(2)]
    del store.objects[names.CHECKPOINT]
    with capturing(source.again(), store) as running:
        running.tells("gap.found")
    opened = open_archive(store)
    (gap,) = find_gaps(store, opened.epochs)
    records = [name for name in store.objects if "/gap@" in name]
    assert len(records) == 2
    assert gap.epoch.gap is not None
    assert gap.epoch.gap.name == max(records)
    assert differences(store, opened.archive, gap) == []
