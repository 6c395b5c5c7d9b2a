"""What was stored is read back: `restorable` never says more than was seen, and damage is told."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from archives import quiet_log
from captures import ModelSource, Running, new_source
from etcd_model import EtcdModel
from generators import START
from memory_store import MemoryStore
from servers.command import until

from replicator.adapters.clock import SystemClock
from replicator.core import objects
from replicator.core.frame import digest_of
from replicator.core.objects import Header, SegmentFooter, SnapshotFooter
from replicator.core.plan import Latest
from replicator.core.records import Batch, Position
from replicator.core.state import State
from replicator.errors import StoreUnavailable
from replicator.flows.readback import Pace, Readback, Restorable, Stored
from replicator.flows.restore import restore
from replicator.flows.verify_full import verify_full
from replicator.telemetry.metrics import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator

AT_ONCE = Pace(object_s=0.0, drill_s=1e9)
SEGMENT = "e00000001/log/00000000000000000002.jsonl.zst"
SNAPSHOT = "e00000001/snapshots/00000000000000000003@20260101T000001.000000Z.jsonl.zst"


class Meter(Silent):
    """Keeps the numbers."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def set(self, name: str, value: float) -> None:
        """Keep the value."""
        super().set(name, value)
        self.values[name] = value

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to the sum."""
        super().count(name, amount, **labels)
        self.values[name] = self.values.get(name, 0) + amount


class Reader:
    """A readback of a store of its own, what it logs, and what it counts."""

    def __init__(self, store: MemoryStore | None = None, pace: Pace = AT_ONCE) -> None:
        self.store = store or MemoryStore()
        log, self._kept = quiet_log()
        self.meter = Meter()
        self.readback = Readback(self.store, SystemClock(), log, self.meter, pace)

    def events(self, name: str) -> list[Any]:
        """Return the events of that *name*."""
        return [entry for entry in self._kept.entries if entry["event"] == name]

    def put(self, name: str, revision: int, body: bytes | None = None, **altered: object) -> Stored:
        """Store an object that shows *revision*, and tell of it."""
        whole = body_of(name, revision)
        self.store.objects[name] = whole if body is None else body
        known = {
            "name": name,
            "digest": digest_of(whole),
            "position": Position(1, revision),
            "moment": START + timedelta(seconds=revision),
            "state_digest": "",
        }
        stored = Stored(**(known | altered))  # type: ignore[arg-type]
        self.readback.stored(stored)
        return stored

    def reaches(self, revision: int) -> None:
        """Wait until *revision* is restorable."""
        until(
            lambda: (
                self.readback.restorable is not None
                and self.readback.restorable.position.revision == revision
            ),
            f"revision {revision} is restorable",
        )


def body_of(name: str, revision: int) -> bytes:
    """Return a whole segment or snapshot; what it holds is of no matter here."""
    etcd = EtcdModel(revision - 1)
    etcd.put(b"/apisix/a", b"1")
    header = Header(kind="segment", archive_id="a", epoch=1, revision=revision, writer="w")
    ((_, events),) = etcd.history
    if "/log/" in name:
        footer = SegmentFooter(
            events=1,
            last_revision=revision,
            through_revision=revision,
            observed_at=START,
            observed_through=START,
            state_digest="",
            previous="",
        )
        return objects.encode_segment(header, [Batch(revision, START, events)], footer)
    state = State(revision)
    state.add(b"/apisix/a", etcd.states[revision][b"/apisix/a"])
    return objects.encode_snapshot(
        Header(kind="snapshot", archive_id="a", epoch=1, revision=revision, writer="w"),
        state,
        SnapshotFooter(keys=1, through_revision=revision, observed_through=START, state_digest=state.digest),
    )


@contextmanager
def reading(store: MemoryStore | None = None, pace: Pace = AT_ONCE) -> Iterator[Reader]:
    reader = Reader(store, pace)
    reader.readback.start()
    yield reader
    reader.readback.finish()


def test_what_is_read_back_whole_is_restorable() -> None:
    with reading() as reader:
        stored = reader.put(SEGMENT, 3)
        reader.reaches(3)
        assert reader.readback.restorable == Restorable(stored.position, stored.moment)
        reader.put(SNAPSHOT, 4)
        reader.reaches(4)
    assert reader.meter.values == {
        "readbacks_total": 2,
        "restorable_revision": 4,
        "restorable_time_seconds": (START + timedelta(seconds=4)).timestamp(),
    }


@pytest.mark.parametrize("name", [SEGMENT, SNAPSHOT])
def test_other_bytes_than_were_stored_are_told_and_hold_up_what_is_restorable(name) -> None:
    with reading() as reader:
        reader.put(SEGMENT, 3)
        reader.reaches(3)
        reader.put(name, 4, body_of(name, 4)[:-1] + b"x")
        until(lambda: reader.readback.is_broken, "the damage is known")
        reader.put(SEGMENT, 5)
        until(lambda: reader.meter.values.get("readbacks_total") == 2, "the next one was read")
        assert reader.readback.restorable == Restorable(Position(1, 3), START + timedelta(seconds=3))
        assert reader.readback.damaged == {name}
        reader.put(SNAPSHOT, 6)
        reader.reaches(6)
        assert not reader.readback.is_broken
    (told,) = reader.events("readback.failed")
    assert told["object"] == name
    assert reader.meter.values["readback_failures_total"] == 1


def test_another_whole_object_and_none_are_told() -> None:
    with reading() as reader:
        reader.put(SEGMENT, 3, body_of(SEGMENT, 9))
        until(lambda: len(reader.events("readback.failed")) == 1, "the other object is told")
    with reading() as reader:
        stored = reader.put(SEGMENT, 3)
        reader.reaches(3)
        reader.store.delete(SEGMENT)
        reader.readback.stored(stored)
        until(lambda: len(reader.events("readback.failed")) == 1, "the missing object is told")
        assert reader.events("readback.failed")[0]["cause"] == "it is missing"


def test_a_store_that_is_away_is_tried_again_and_is_no_damage() -> None:
    class Away(MemoryStore):
        fails = 3

        def get(self, name: str) -> bytes:
            self.fails -= 1
            if self.fails >= 0:
                raise StoreUnavailable("away")
            return super().get(name)

    with reading(Away()) as reader:
        reader.put(SEGMENT, 3)
        reader.reaches(3)
    assert reader.events("readback.failed") == []


def test_bytes_that_are_hurt_on_their_way_once_are_no_damage() -> None:
    class Noisy(MemoryStore):
        gets = 0

        def get(self, name: str) -> bytes:
            self.gets += 1
            return super().get(name) if self.gets > 1 else b"x" * 50

    with reading(Noisy()) as reader:
        reader.put(SEGMENT, 3)
        reader.reaches(3)
    assert reader.events("readback.failed") == []


def test_under_load_the_newest_is_read_and_the_pace_is_kept() -> None:
    with reading(pace=Pace(object_s=3600.0, drill_s=1e9)) as reader:
        reader.put(SEGMENT, 3)
        reader.reaches(3)
        for revision in range(4, 40):
            reader.put(SEGMENT, revision)
        assert reader.readback.restorable == Restorable(Position(1, 3), START + timedelta(seconds=3))
    assert reader.readback.restorable.position.revision == 39
    assert reader.meter.values["readbacks_total"] == 2


def test_a_quiet_watermark_moves_on_what_was_read_back() -> None:
    with reading() as reader:
        reader.readback.watched(Position(1, 3), START)
        assert reader.readback.restorable is None
        reader.put(SEGMENT, 3)
        reader.reaches(3)
        later = START + timedelta(hours=1)
        reader.readback.watched(Position(1, 3), later)
        reader.readback.watched(Position(1, 4), later + timedelta(hours=1))
        assert reader.readback.restorable == Restorable(Position(1, 3), later)


def a_capture(source: ModelSource, store: MemoryStore, pace: Pace, meter: Meter) -> Running:
    """Run a capture whose readback has that pace."""
    return Running(source, store, readback=pace, meter=meter)


def test_a_capture_reads_back_and_drills() -> None:
    source, store, meter = new_source(), MemoryStore(), Meter()
    running = a_capture(source, store, Pace(object_s=0.0, drill_s=0.01), meter)
    running.tells("watch.started")
    with source.changing() as etcd:
        etcd.put(b"/apisix/routes/1", b"{}")
        head = etcd.head
    running.waits(lambda: meter.values.get("restorable_revision") == head, "the change was read back")
    running.tells("drill.passed")
    with source.changing() as etcd:
        etcd.put(b"/apisix/routes/1", b'{"a":1}')
        head = etcd.head
    running.waits(lambda: meter.values.get("restorable_revision") == head, "this one too")
    for name in store.names("e00000001/snapshots/"):
        store.objects[name] = b"x" * 50
    running.tells("drill.failed")
    assert meter.values["last_drill_success"] == 0
    assert meter.values["recorded_revision"] == head
    assert meter.values["etcd_head_revision"] == head
    assert meter.values["gaps"] == 0
    running.stop()


def test_a_capture_that_resumes_knows_what_is_restorable_at_once() -> None:
    source, store, meter = new_source(), MemoryStore(), Meter()
    running = a_capture(source, store, AT_ONCE, meter)
    running.tells("watch.started")
    with source.changing() as etcd:
        etcd.put(b"/apisix/routes/1", b"{}")
        head = etcd.head
    running.stores(head)
    running.stop()
    fresh = Meter()
    again = a_capture(source.again(), store, AT_ONCE, fresh)
    again.tells("watch.started")
    again.waits(lambda: fresh.values.get("restorable_revision") == head, "what was resumed is restorable")
    assert "readbacks_total" not in fresh.values
    again.stop()


def test_a_store_that_changes_what_it_was_given_is_told_while_recording_goes_on() -> None:
    class Rotten(MemoryStore):
        def create(self, name: str, body: bytes) -> None:
            super().create(name, body)
            if name.endswith("log/00000000000000000002.jsonl.zst"):
                self.objects[name] = body[:30] + bytes([body[30] ^ 1]) + body[31:]

    source, store, meter = new_source(), Rotten(), Meter()
    running = a_capture(source, store, AT_ONCE, meter)
    running.tells("watch.started")
    for value in (b"1", b"2"):
        with source.changing() as etcd:
            etcd.put(b"/apisix/routes/1", value)
            head = etcd.head
        running.stores(head)
        running.tells("readback.failed")
    # A snapshot is cut at once, so that what comes can be restored; the damage is behind it.
    running.waits(lambda: meter.values.get("restorable_revision") == head, "it has got over the damage")
    assert running.events("snapshot.stored")
    running.stop()
    assert meter.values["readback_failures_total"] == 1
    assert meter.values["recorded_revision"] == head
    assert restore(store, Latest()).state.revision == head
    (damage,) = verify_full(store).damages
    assert damage.object.endswith("log/00000000000000000002.jsonl.zst")
