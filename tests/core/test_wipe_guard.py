"""What is held back from a gateway, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.core.wipe_guard import Held, WipeRule, judge

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULE = WipeRule(0.5, timedelta(minutes=10))

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
