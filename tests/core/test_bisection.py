"""Halving against trying all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replicator.core.bisection import Bisection


@given(st.integers(1, 300), st.data())
def test_the_first_bad_one_is_found_in_few_steps(count: int, data) -> None:
    first_bad = data.draw(st.integers(1, count))
    bisection, steps = Bisection(count), 0
    expected = bisection.steps_left
    while (number := bisection.next()) is not None:
        bisection.tell(number, "bad" if number >= first_bad else "good")
        steps += 1
    assert bisection.suspects == [first_bad]
    assert steps <= expected


@given(st.integers(1, 60), st.data())
def test_what_is_skipped_leaves_just_those_that_it_may_be(count: int, data) -> None:
    first_bad = data.draw(st.integers(1, count))
    skipped = data.draw(st.sets(st.integers(1, count)))
    bisection = Bisection(count)
    while (number := bisection.next()) is not None:
        bisection.tell(number, "skip" if number in skipped else "bad" if number >= first_bad else "good")
    good = max([number for number in range(first_bad) if number not in skipped], default=0)
    bad = min([number for number in range(first_bad, count) if number not in skipped], default=count)
    assert bisection.suspects == list(range(good + 1, bad + 1))
