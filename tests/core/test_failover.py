"""The transitions of a gateway: never too early, never too often, and never against somebody's word."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.core.failover import FailoverRules, Situation, decide, hold_down_s

RULES = FailoverRules(failover_after_s=30, failback_after_s=60, hold_down_s=60)
FAILED = Situation(mode="etcd", failing_s=30)
BACK = Situation(mode="standalone", healthy_s=60)

seconds = st.floats(0, 10_000)
situations = st.builds(
    lambda mode, lasting, is_well, since, undone, flags, unusable, distrust: Situation(
        mode,
        0.0 if is_well else lasting,
        lasting if is_well else 0.0,
        since,
        undone,
        *flags,
        unusable,
        distrust,
    ),
    st.sampled_from(["etcd", "standalone"]),
    seconds,
    st.booleans(),
    seconds,
    st.integers(0, 10),
    st.tuples(st.booleans(), st.booleans()),
    st.sampled_from(["", "there is no file"]),
    st.sampled_from(["", "it was wiped"]),
)


@given(situations)
def test_a_gateway_is_turned_only_when_all_speaks_for_it(now: Situation) -> None:
    decision = decide(RULES, now)
    assert decision.why
    if decision.to is None:
        return
    assert decision.to != now.mode
    assert not now.is_paused
    assert now.since_switch_s >= hold_down_s(RULES, now.undone)
    if decision.to == "standalone":
        assert now.failing_s >= RULES.failover_after_s
        assert not now.unusable
    else:
        assert now.healthy_s >= RULES.failback_after_s
        assert not now.distrust
        assert not now.is_pinned


@pytest.mark.parametrize(
    ("now", "to"),
    [
        (FAILED, "standalone"),
        (BACK, "etcd"),
        (replace(FAILED, failing_s=29.9), None),
        (replace(FAILED, unusable="there is no file yet"), None),
        (replace(FAILED, is_paused=True), None),
        (replace(FAILED, since_switch_s=59), None),
        (replace(FAILED, since_switch_s=61), "standalone"),
        (replace(FAILED, since_switch_s=61, undone=1), None),
        (replace(FAILED, since_switch_s=121, undone=1), "standalone"),
        (replace(BACK, healthy_s=59.9), None),
        (replace(BACK, distrust="it was wiped"), None),
        (replace(BACK, is_pinned=True), None),
        (replace(BACK, healthy_s=0, failing_s=500), None),
        (Situation(mode="etcd", healthy_s=500), None),
    ],
)
def test_the_table(now: Situation, to: str | None) -> None:
    assert decide(RULES, now).to == to


@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 29)), min_size=1, max_size=60))
def test_an_etcd_that_flaps_turns_nothing(phases: list[tuple[bool, float]]) -> None:
    """However long it flaps, as long as no outage lasts for `failover_after`."""
    for number, (is_well, lasting) in enumerate(phases):
        is_same = number and phases[number - 1][0] == is_well
        if is_same:  # that would be one longer phase
            continue
        now = Situation("etcd", 0.0 if is_well else lasting, lasting if is_well else 0.0)
        assert decide(RULES, now).to is None


def test_after_failures_the_hold_down_grows_to_a_bound() -> None:
    assert [hold_down_s(RULES, undone) for undone in range(7)] == [60, 120, 240, 480, 960, 960, 960]


@pytest.mark.parametrize(
    ("now", "to"),
    [
        (Situation("etcd", healthy_s=5, again="unread"), "etcd"),
        (Situation("etcd", failing_s=5, again="unread"), None),
        (Situation("etcd", again="unread"), None),
        (replace(FAILED, again="unread"), "standalone"),
        (Situation("standalone", failing_s=5, again="made anew"), "standalone"),
        (Situation("standalone", healthy_s=5, again="made anew"), None),
        (replace(BACK, again="made anew"), "etcd"),
        (replace(BACK, again="made anew", distrust="it was wiped"), "standalone"),
        (replace(BACK, again="made anew", is_pinned=True), "standalone"),
        (Situation("standalone", failing_s=5, again="made anew", is_paused=True), None),
        (Situation("standalone", failing_s=5, again="made anew", since_switch_s=5), None),
    ],
)
def test_a_gateway_that_runs_on_something_else_is_turned_once_more(now: Situation, to: str | None) -> None:
    assert decide(RULES, now).to == to


phases = st.lists(st.tuples(st.booleans(), st.floats(0.5, 400)), min_size=1, max_size=30)


@given(phases, st.lists(st.booleans(), max_size=20), st.floats(0.3, 7))
def test_a_life_of_outages_keeps_all_the_promises(
    outages: list[tuple[bool, float]], fates: list[bool], beat_s: float
) -> None:
    """Time passes in beats through *outages*, each switch ends by its fate, and each beat decides."""
    gateway, ended_at, undone, now_s, switches = "etcd", float("-inf"), 0, 0.0, []
    fate = iter(fates)
    lasting_s, was_well = 0.0, None
    for is_well, phase_s in outages:
        lasting_s, was_well = (lasting_s if is_well is was_well else 0.0), is_well
        until_s = now_s + phase_s
        while now_s < until_s:
            step_s = min(beat_s, until_s - now_s)
            now_s, lasting_s = now_s + step_s, lasting_s + step_s
            decision = decide(
                RULES,
                Situation(
                    gateway,
                    0.0 if is_well else lasting_s,
                    lasting_s if is_well else 0.0,
                    now_s - ended_at,
                    undone,
                ),
            )
            if decision.to is None:
                continue
            assert now_s - ended_at >= hold_down_s(RULES, undone) >= RULES.hold_down_s
            assert lasting_s >= (RULES.failback_after_s if decision.to == "etcd" else RULES.failover_after_s)
            assert is_well == (decision.to == "etcd")
            is_done = next(fate, True)
            gateway, undone = (decision.to, 0) if is_done else (gateway, undone + 1)
            ended_at = now_s
            switches.append(now_s)
        settled_s = max(RULES.failover_after_s, RULES.failback_after_s, hold_down_s(RULES, undone)) + beat_s
        if lasting_s > settled_s and now_s - ended_at > settled_s:
            assert gateway == ("etcd" if is_well else "standalone")
    assert all(later - earlier >= RULES.hold_down_s for earlier, later in itertools.pairwise(switches))
