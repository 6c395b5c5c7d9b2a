"""Stamps: they rise over any clock, and late ones go where the evidence puts them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from etcd_model import EtcdModel
from generators import START
from hypothesis import given
from hypothesis import strategies as st

from replicator.core.records import Event, Record, Window
from replicator.core.stamp import Stamper, update_time

TICK = timedelta(microseconds=1)
seconds = st.just(0.0) | st.floats(-10, 10) | st.floats(-1e7, 1e7)
offsets = st.builds(timedelta, seconds=seconds)
calls_of_all_kinds = st.lists(
    st.tuples(st.sampled_from(["live", "late", "observed"]), offsets, st.integers(1, 4), offsets), max_size=12
)


def at(seconds: float) -> datetime:
    """Return the moment *seconds* after START."""
    return START + timedelta(seconds=seconds)


def changes(*update_times: float | None) -> list[tuple[int, tuple[Event, ...]]]:
    """Return a revision for each of *update_times* (seconds after START), from 2 on."""
    model = EtcdModel()
    for seconds in update_times:
        said = "" if seconds is None else f',"update_time":{int(START.timestamp() + seconds)}'
        model.put(b"/a", f'{{"id":1{said}}}'.encode())
    return model.history


def placed(window: Window, *update_times: float | None) -> list[float]:
    """Return where in *window* such revisions are placed, in seconds after START, to the millisecond."""
    batches = Stamper(window.not_before).late(changes(*update_times), window)
    return [round((batch.observed_at - START).total_seconds(), 3) for batch in batches]


@given(calls_of_all_kinds)
def test_stamps_rise_over_any_clock_and_stay_above_every_watermark(calls) -> None:
    """Whatever the clock does: frozen, set back by months, or leaping."""
    stamper, stamps = Stamper(START), [START]
    for kind, offset, count, width in calls:
        revisions = changes(*[None] * count)
        if kind == "observed":
            watermark = stamper.observed(START + offset)
            assert watermark >= stamps[-1]
            stamps[-1] = watermark
        elif kind == "live":
            stamps += [batch.observed_at for batch in stamper.live(revisions, START + offset)]
        else:
            window = Window(START + offset, START + offset + abs(width))
            stamps += [batch.observed_at for batch in stamper.late(revisions, window)]
    assert all(earlier < later for earlier, later in pairwise(stamps))


def test_live_revisions_are_stamped_with_their_arrival() -> None:
    first, second = Stamper(START).live(changes(None, None), at(5))
    assert (at(5), at(5) + TICK) == (first.observed_at, second.observed_at)
    assert (first.window, second.window) == (None, None)


WINDOW = Window(at(100), at(200))


@pytest.mark.parametrize(
    ("update_times", "expected"),
    [
        ((None,), [200]),
        ((150,), [150]),
        ((None, 150), [150, 150]),  # what precedes it can't be later
        ((150, None), [150, 200]),
        ((120, None, 150, None), [120, 150, 150, 200]),
        ((300,), [200]),  # a clock that is ahead of ours
        ((300, 150), [150, 150]),
        ((50,), [200]),  # a value that was copied from an older one says nothing
        ((150, 50), [150, 200]),
        ((150, 120, 180), [150, 180, 180]),
        ((150, 150), [150, 150]),
    ],
)
def test_a_late_revision_stands_where_its_evidence_puts_it(update_times, expected) -> None:
    assert expected == placed(WINDOW, *update_times)


def test_a_whole_second_may_begin_before_the_window_does() -> None:
    assert placed(Window(at(100.7), at(200)), 100) == [100.7]
    assert placed(Window(at(101.1), at(200)), 100) == [200]


@given(st.lists(st.none() | st.integers(-500, 500), max_size=6))
def test_late_revisions_stay_within_their_window(update_times) -> None:
    batches = Stamper(WINDOW.not_before).late(changes(*update_times), WINDOW)
    assert all(batch.window == WINDOW for batch in batches)
    for place, batch in enumerate(batches):
        assert WINDOW.not_before < batch.observed_at <= WINDOW.not_after + place * TICK


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'{"update_time":1767225600}', START),
        (b'{"update_time":1767225600.5}', at(0.5)),
        (b'{"a":[{"update_time":5}],"update_time":1767225600}', START),
        (b'{"id":1}', None),
        (b'{"update_time":"1767225600"}', None),
        (b'{"update_time":true}', None),
        (b'{"update_time":1e300}', None),
        (b'{"update_time":-1e18}', None),
        (b'{"update_time":12345678901234567890}', None),
        (b"[1767225600]", None),
        (b"1767225600", None),
        (b"\xff", None),
        (b'"\xff"', None),
        (b"", None),
        (b"[" * 100_000, None),
    ],
)
def test_update_time_is_read_where_it_is_a_time(value, expected) -> None:
    assert expected == update_time([Event(b"/a", Record(value, 1, 1, 1, 0))])


def test_the_newest_update_time_of_a_revision_counts() -> None:
    events = [Event(b"/a", None), *(event for _, events in changes(3, 9, 6) for event in events)]
    assert at(9) == update_time(events)
    assert update_time(events[:1]) is None
    assert datetime.fromtimestamp(0, UTC) < START
