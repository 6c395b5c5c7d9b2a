"""What is held back from a gateway, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.core.wipe_guard import Held, Peak, WipeRule, judge, peak_after

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULE = WipeRule(0.5, timedelta(minutes=10))
MINUTE = timedelta(minutes=1)

counts = st.dictionaries(st.sampled_from(["routes", "services", "consumers"]), st.integers(0, 40))


@pytest.mark.parametrize(
    ("before", "after", "is_held"),
    [
        ({"routes": 4}, {}, True),
        ({"routes": 4}, {"routes": 2}, False),
        ({"routes": 4}, {"routes": 1}, True),
        ({"routes": 1}, {}, False),
        ({"routes": 10, "services": 40}, {"services": 40}, True),
        ({"routes": 9, "services": 40}, {"services": 40}, False),
        ({"routes": 4}, {"routes": 40}, False),
        ({}, {}, False),
    ],
)
def test_what_is_held_back(before: dict[str, int], after: dict[str, int], *, is_held: bool) -> None:
    assert (judge(RULE, before, after, None, NOW) is not None) == is_held


@given(counts, counts)
def test_growth_and_one_resource_less_always_pass(before: dict[str, int], after: dict[str, int]) -> None:
    grown = {kind: before.get(kind, 0) + count for kind, count in after.items()}
    assert judge(RULE, before, before | grown, None, NOW) is None
    for kind in [kind for kind, count in before.items() if count]:
        assert judge(RULE, before, before | {kind: before[kind] - 1}, None, NOW) is None


@given(counts, counts)
def test_with_a_share_of_all_nothing_is_held_back(before: dict[str, int], after: dict[str, int]) -> None:
    assert judge(WipeRule(1.0, RULE.lasting), before, after, None, NOW) is None


def test_a_change_that_lasts_is_believed() -> None:
    held = judge(RULE, {"routes": 4}, {}, None, NOW)
    assert held == Held(NOW, 4, 0, "4 of 4 resources would go")
    again = judge(RULE, {"routes": 4}, {}, held, NOW + timedelta(minutes=9))
    assert again == held
    assert judge(RULE, {"routes": 4}, {}, held, NOW + timedelta(minutes=10)) is None


def test_a_clock_that_was_set_back_begins_anew() -> None:
    held = Held(NOW + timedelta(hours=1), 4, 0, "")
    again = judge(RULE, {"routes": 4}, {}, held, NOW)
    assert again is not None
    assert again.since == NOW


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ({"routes": 6}, {"routes": 3}, ""),
        ({"routes": 6}, {"routes": 2}, "4 of 6 resources would go"),
        ({"routes": 1}, {}, ""),
        ({"routes": 2}, {}, "2 of 2 resources would go"),
        ({"routes": 10, "services": 90}, {"services": 90}, "10 of 10 routes would go"),
        ({"routes": 9, "services": 91}, {"services": 91}, ""),
        ({"routes": 6}, {"services": 60}, "6 of 6 resources would go"),
        ({}, {"routes": 1}, ""),
    ],
)
def test_why_it_is_held_back(before: dict[str, int], after: dict[str, int], why: str) -> None:
    held = judge(RULE, before, after, None, NOW)
    assert (held.why if held else "") == why


def test_a_wipe_key_by_key_is_held_back_once_the_share_is_gone() -> None:
    peak, now = Peak(), NOW
    for left in range(20, -1, -1):
        if judge(RULE, peak.counts, {"routes": left}, None, now) is not None:
            break
        peak, now = peak_after(RULE, peak, {"routes": left}, now), now + timedelta(seconds=1)
    assert left == 9


def test_losses_that_have_lasted_are_believed() -> None:
    peak = peak_after(RULE, Peak(), {"routes": 20}, NOW)
    peak = peak_after(RULE, peak, {"routes": 11}, NOW + MINUTE)
    assert peak == Peak({"routes": 20}, NOW + MINUTE)
    peak = peak_after(RULE, peak, {"routes": 11}, NOW + 12 * MINUTE)
    assert peak == Peak({"routes": 11})
    assert judge(RULE, peak.counts, {"routes": 6}, None, NOW + 12 * MINUTE) is None


@given(st.lists(st.tuples(counts, st.integers(-2, 12))))
def test_the_peak_is_never_less_than_what_is_there_nor_more_than_there_was(history) -> None:
    peak, now, most = Peak(), NOW, {}
    for there, minutes in history:
        now += minutes * MINUTE
        peak = peak_after(RULE, peak, there, now)
        most = {kind: max(most.get(kind, 0), there.get(kind, 0)) for kind in most | there}
        for kind in most:
            assert there.get(kind, 0) <= peak.counts.get(kind, 0) <= most[kind]
