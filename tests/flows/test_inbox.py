"""The inbox: what waits becomes a segment when it is old or large enough, in order and whole."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from generators import START
from hypothesis import given
from hypothesis import strategies as st
from servers.clock import SteppedClock
from servers.command import until

from replicator.core.records import Batch, Event, Record, size_bytes
from replicator.flows.inbox import GroupCommit, Haul, Inbox
from replicator.flows.tip import Watermark


def batch(revision: int, value_bytes: int = 0) -> Batch:
    """Return a batch of one key."""
    record = Record(b"x" * value_bytes, revision, revision, 1, 0)
    return Batch(revision, START + timedelta(seconds=revision), (Event(b"/k", record),))


def mark(revision: int) -> Watermark:
    """Return a watermark at *revision*."""
    return Watermark(revision, START + timedelta(seconds=revision))


ONE = size_bytes(batch(1))
NOTHING = Haul((), None, is_last=False)


class Bench:
    """An inbox and the clock that it looks at: a second's interval, three small batches, ten in all."""

    def __init__(self, interval_s: float = 1.0, size: int = 3 * ONE, limit: int = 10 * ONE) -> None:
        self.clock = SteppedClock()
        self.inbox = Inbox(GroupCommit(interval_s, size), limit, self.clock)

    def taken(self) -> list[int]:
        """Return the revisions that are due now."""
        return [batch.revision for batch in self.inbox.take(0).batches]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_empty_inbox_gives_nothing(bench) -> None:
    assert bench.inbox.take(0) == NOTHING


def test_what_is_young_and_small_waits(bench) -> None:
    bench.inbox.put([batch(1)])
    bench.inbox.observe(mark(5))
    assert bench.inbox.take(0) == NOTHING
    bench.clock.sleep(0.9)
    assert bench.inbox.take(0) == NOTHING


def test_all_that_waits_comes_when_the_first_is_old_enough(bench) -> None:
    bench.inbox.put([batch(1)])
    bench.clock.sleep(0.9)
    bench.inbox.put([batch(2)])
    bench.clock.sleep(0.1)
    assert bench.taken() == [1, 2]
    bench.inbox.put([batch(3)])
    bench.clock.sleep(0.9)
    assert bench.taken() == []
    bench.clock.sleep(0.1)
    assert bench.taken() == [3]


def test_an_interval_of_zero_means_at_once() -> None:
    bench = Bench(interval_s=0)
    bench.inbox.put([batch(1)])
    assert bench.taken() == [1]


def test_what_is_large_enough_comes_at_once_and_cut_by_size(bench) -> None:
    bench.inbox.put(map(batch, range(1, 8)))
    assert bench.taken() == [1, 2, 3]
    assert bench.taken() == [4, 5, 6]
    assert bench.taken() == []


def test_what_came_while_a_segment_was_stored_is_as_old_as_it_is(bench) -> None:
    bench.inbox.put(map(batch, range(1, 5)))
    bench.clock.sleep(1)
    assert bench.taken() == [1, 2, 3]
    assert bench.taken() == [4]


def test_a_revision_larger_than_a_segment_comes_whole(bench) -> None:
    bench.inbox.put([batch(1, 5 * ONE), batch(2)])
    assert bench.taken() == [1]


def test_the_watermark_comes_with_all_that_was_put_before_it(bench) -> None:
    bench.inbox.put(map(batch, range(1, 5)))
    bench.inbox.observe(mark(9))
    assert bench.inbox.take(0).watermark is None
    bench.clock.sleep(1)
    assert bench.inbox.take(0).watermark == mark(9)
    bench.inbox.observe(mark(10))
    assert bench.inbox.take(0) == Haul((), mark(10), is_last=False)


def test_a_close_gives_out_all_that_waits_and_then_says_so(bench) -> None:
    bench.inbox.put(map(batch, range(1, 6)))
    bench.inbox.observe(mark(9))
    bench.inbox.close()
    first, second = bench.inbox.take(0), bench.inbox.take(0)
    assert ([b.revision for b in first.batches], first.watermark, first.is_last) == ([1, 2, 3], None, False)
    assert ([4, 5], mark(9), True) == ([b.revision for b in second.batches], second.watermark, second.is_last)


def test_a_close_ends_a_wait(bench) -> None:
    hauls: list[Haul] = []
    waiting = threading.Thread(target=lambda: hauls.append(bench.inbox.take(3600)), daemon=True)
    waiting.start()
    bench.inbox.close()
    waiting.join(10)
    assert [Haul((), None, is_last=True)] == hauls


def test_a_put_ends_a_wait() -> None:
    bench = Bench(interval_s=3600)
    hauls: list[Haul] = []
    waiting = threading.Thread(target=lambda: hauls.append(bench.inbox.take(7200)), daemon=True)
    waiting.start()
    bench.inbox.put([batch(1)])
    bench.inbox.put([batch(2), batch(3)])
    waiting.join(10)
    assert [[each.revision for each in haul.batches] for haul in hauls] == [[1, 2, 3]]


@pytest.mark.parametrize("size", [3 * ONE, 1000 * ONE], ids=["a limit", "a limit below a segment's size"])
def test_a_full_inbox_makes_the_watch_wait_and_nobody_else(size) -> None:
    bench = Bench(interval_s=3600, size=size)
    putting = threading.Thread(target=lambda: bench.inbox.put(map(batch, range(1, 25))), daemon=True)
    putting.start()
    until(lambda: bench.inbox._waiting_bytes == 10 * ONE, "the inbox is full")
    assert putting.is_alive()
    revisions: list[int] = []
    until(lambda: bool(revisions.extend(bench.taken()) or len(revisions) >= 20), "twenty come out")
    putting.join(10)
    assert not putting.is_alive()
    bench.inbox.close()
    until(lambda: bool(revisions.extend(bench.taken()) or len(revisions) >= 24), "the rest")
    assert list(range(1, 25)) == revisions


def test_a_close_frees_a_watch_that_waits(bench) -> None:
    putting = threading.Thread(target=lambda: bench.inbox.put(map(batch, range(1, 25))), daemon=True)
    putting.start()
    until(lambda: bench.inbox._waiting_bytes == 10 * ONE, "the inbox is full")
    bench.inbox.close()
    putting.join(10)
    assert not putting.is_alive()


def test_what_comes_after_a_close_fills_no_memory_and_no_watermark_lies_behind_it(bench) -> None:
    bench.inbox.put([batch(1)])
    bench.inbox.observe(mark(1))
    bench.inbox.close()
    bench.inbox.put(map(batch, range(2, 25)))
    bench.inbox.observe(mark(24))
    haul = bench.inbox.take(0)
    assert ([each.revision for each in haul.batches], haul.watermark) == ([1], mark(1))


acts = st.one_of(
    st.tuples(st.just("put"), st.lists(st.integers(0, 5 * ONE), max_size=4)),
    st.tuples(st.just("take"), st.none()),
    st.tuples(st.just("sleep"), st.sampled_from([0.2, 1.0])),
    st.tuples(st.just("observe"), st.none()),
)


@given(st.lists(acts, max_size=30))
def test_whatever_the_order_all_comes_once_and_in_order_with_a_watermark_that_is_true(told) -> None:
    bench = Bench(limit=1 << 30)
    put, taken, marked = 0, 0, 0
    for verb, argument in [*told, ("close", None)]:
        match verb:
            case "put":
                bench.inbox.put(batch(put + place, size) for place, size in enumerate(argument, 1))
                put += len(argument)
            case "sleep":
                bench.clock.sleep(argument)
            case "observe":
                bench.inbox.observe(mark(put))
                marked = put
            case "close":
                bench.inbox.close()
        is_last = verb not in ("take", "close")
        while not is_last:
            haul = bench.inbox.take(0)
            assert [taken + place for place in range(1, len(haul.batches) + 1)] == [
                each.revision for each in haul.batches
            ]
            taken += len(haul.batches)
            assert sum(map(size_bytes, haul.batches[:-1])) < 3 * ONE
            if haul.watermark is not None:
                assert taken == put
                assert haul.watermark == mark(marked)
            is_last = haul.is_last or verb == "take"
    assert taken == put
