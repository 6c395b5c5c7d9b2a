"""Stamps and watermarks say nothing that isn't so, however late etcd's news arrives."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from captures import AT_ONCE, IN_AN_HOUR, LeapingClock, ModelSource, Running, batches, capturing, segments
from etcd_model import EtcdModel
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore

from replicator.core.plan import AtRevision, AtTime, Latest
from replicator.flows import follow
from replicator.flows.open_archive import read_checkpoint
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.core.records import Record

# What the machine takes between a commit in the model and its arrival, and more.
DELAY = timedelta(seconds=2)
LIVE = timedelta(seconds=5)


@pytest.fixture(autouse=True, scope="module")
def _quick() -> Iterator[None]:
    """Reconnect in milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(follow, "_FIRST_DELAY_S", 0.001)
        yield


class Past:
    """An etcd, a capture of it, and what was committed when."""

    def __init__(self, commit=AT_ONCE) -> None:
        self.clock = LeapingClock()
        self.source = ModelSource(EtcdModel(), self.clock)
        self.store = MemoryStore()
        self.commits: dict[int, datetime] = {}
        self._commit = commit
        self.begin()

    def begin(self) -> None:
        """Start the capture."""
        self.running = Running(self.source, self.store, self._commit)
        self.running.tells("watch.started")

    def change(self, leap: float) -> None:
        """Commit a change; so much time passes before anybody hears of it."""
        with self.source.changing() as etcd:
            etcd.put(b"/apisix/a", b"{}")
            self.commits[etcd.head] = self.clock.now()
            self.clock.leap(leap)

    def leap(self, seconds: float) -> None:
        """Let time pass."""
        with self.source.changing():
            self.clock.leap(seconds)

    def cut(self, leap: float) -> None:
        """Break the watch; so much time passes before it is there again."""
        with self.source.changing():
            self.source.cut()
            self.clock.leap(leap)

    def restart(self, leap: float) -> None:
        """Stop the capture, and start another after so much time."""
        self.running.stop()
        self.change(leap)
        self.source = self.source.again()
        self.begin()

    def settle(self, _: float) -> None:
        """Wait until all is recorded."""
        if self.commits:
            last = max(self.commits)
            self.running.waits(lambda: last in {each.revision for each in batches(self.store)}, "all")


acts = st.tuples(
    st.sampled_from(["change", "change", "leap", "cut", "restart", "settle"]),
    st.sampled_from([0, 1, 60, 3600]),
)


@settings(max_examples=60)
@given(st.lists(acts, max_size=8))
def test_every_stamp_window_and_watermark_is_true(told) -> None:
    past = Past()
    for verb, seconds in [*told, ("settle", 0)]:
        getattr(past, verb)(seconds)
    past.running.stop()
    stamped = batches(past.store)
    assert list(past.commits) == [batch.revision for batch in stamped]
    for batch in stamped:
        committed = past.commits[batch.revision]
        if batch.window is None:
            assert abs(batch.observed_at - committed) <= LIVE + DELAY
        else:
            assert batch.window.not_before - DELAY <= committed <= batch.window.not_after + DELAY
    known = [(s.footer.through_revision, s.footer.observed_through) for s in segments(past.store)]
    checkpoint = read_checkpoint(past.store)
    assert checkpoint is not None
    for through, moment in [*known, (checkpoint.through_revision, checkpoint.observed_through)]:
        unknown = [committed for revision, committed in past.commits.items() if revision > through]
        assert moment <= min(unknown, default=moment) + DELAY


def test_an_hour_without_us_is_told_as_such() -> None:
    past = Past()
    past.change(0)
    past.settle(0)
    past.restart(3600)  # with a change at its beginning
    past.settle(0)
    past.running.stop()
    late = restore(past.store, Latest())
    assert timedelta(hours=1) <= late.late_by < timedelta(hours=1) + DELAY
    middle = restore(past.store, AtTime(late.replay.observed_at - timedelta(minutes=30)))
    assert (2, late.late_by) == (middle.state.revision, middle.late_by)


def test_a_stream_that_stood_still_makes_what_it_held_late() -> None:
    past = Past()
    past.change(0)
    past.settle(0)
    past.change(3600)
    past.settle(0)
    past.running.stop()
    live, late = (restore(past.store, AtRevision(revision)).late_by for revision in (2, 3))
    assert live == timedelta(0)
    assert timedelta(hours=1) <= late < timedelta(hours=1) + DELAY


def test_a_long_look_at_the_state_makes_what_came_meanwhile_late() -> None:
    """Between etcd's word on its head and the watch lies a comparison of everything that it holds."""
    past = Past()
    past.change(0)
    past.settle(0)
    read = past.source.read

    def slow(revision: int) -> Iterator[tuple[bytes, Record]]:
        past.change(60)
        past.source.read = read  # type: ignore[method-assign]
        return read(revision)

    past.source.read = slow  # type: ignore[method-assign]
    past.cut(0)
    past.running.tells("watch.started", 2)
    past.settle(0)
    past.running.stop()
    late = restore(past.store, Latest())
    assert late.state.revision == 3
    assert timedelta(minutes=1) <= late.late_by < timedelta(minutes=1) + DELAY


def test_a_short_silence_is_no_lateness() -> None:
    past = Past()
    past.change(4)
    past.settle(0)
    past.running.stop()
    assert restore(past.store, Latest()).late_by == timedelta(0)


def test_that_nothing_happened_is_known_without_an_event() -> None:
    clock = LeapingClock()
    source, store = ModelSource(EtcdModel(), clock), MemoryStore()
    with capturing(source, store, IN_AN_HOUR):
        clock.leap(3600)
        with source.changing() as etcd:
            etcd.pass_by()
        asked = clock.now()
    restored = restore(store, AtTime(asked - DELAY))
    assert (restored.state.revision, restored.reach.through_revision) == (1, 2)
