"""How long etcd has failed or been well: never longer than it was, whoever hangs, sleeps or jumps."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers.clock import SteppedClock
from servers.command import until

from replicator.errors import SourceUnavailable
from replicator.flows.health import Health

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL_S = 2.0


class Plane:
    """An etcd of which each question is *answered* in its way, or not at all."""

    def __init__(self, answered: Callable[[], bool]) -> None:
        self.answered = answered

    def probe(self) -> bool:
        """Do as `ControlPlane` does."""
        return self.answered()


def refuse() -> bool:
    raise SourceUnavailable("connection refused")


def test_nothing_is_known_before_the_first_answer() -> None:
    pulse = Health(Plane(refuse), INTERVAL_S, SteppedClock()).pulse()

    assert (pulse.failing_s, pulse.healthy_s, pulse.failure) == (0, 0, "")


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 5), st.floats(0.1, 4)), min_size=1, max_size=40))
def test_an_outage_is_never_longer_than_it_was(probes: list[tuple[bool, float, float]]) -> None:
    """Each probe takes its time, and fails if etcd is away when it ends."""
    clock, away_since, well_since = SteppedClock(), None, None
    plane = Plane(refuse)
    health = Health(plane, INTERVAL_S, clock)
    for is_well, taking_s, pause_s in probes:
        began_at = clock.monotonic()
        if is_well:
            well_since, away_since = (began_at if well_since is None else well_since), None
        else:
            away_since, well_since = (began_at if away_since is None else away_since), None

        def answer(*, is_well: bool = is_well, taking_s: float = taking_s) -> bool:
            clock.sleep(taking_s)
            return is_well or refuse()

        plane.answered = answer
        health.probe()
        pulse, now = health.pulse(), clock.monotonic()
        assert (pulse.failing_s > 0) is not is_well
        assert (pulse.healthy_s > 0) is is_well
        assert pulse.failing_s <= max(0.001, now - (away_since or 0))
        assert pulse.healthy_s <= max(0.001, now - (well_since or 0))
        clock.sleep(pause_s)
        assert health.pulse() == pulse  # time alone proves nothing


def test_refusals_add_up_between_the_probes() -> None:
    clock = SteppedClock()
    health = Health(Plane(refuse), INTERVAL_S, clock)
    for _ in range(16):
        health.probe()
        clock.sleep(INTERVAL_S)

    pulse = health.pulse()
    assert pulse.failing_s == pytest.approx(30)
    assert pulse.failure == "connection refused"


def test_who_was_suspended_itself_has_seen_no_outage() -> None:
    clock = SteppedClock()
    health = Health(Plane(refuse), INTERVAL_S, clock)
    health.probe()
    clock.sleep(3600)
    health.probe()

    assert health.pulse().failing_s <= INTERVAL_S + 2


def test_an_etcd_that_never_answers_fails_as_well() -> None:
    clock, release = SteppedClock(), threading.Event()
    health = Health(Plane(release.wait), INTERVAL_S, clock)
    thread = threading.Thread(target=health.probe, daemon=True)
    thread.start()
    until(lambda: health._asked_at is not None, "it is asked")
    clock.sleep(1.5)
    assert health.pulse().failing_s == 0
    clock.sleep(1)
    assert health.pulse().failing_s > 0
    assert health.pulse().failure == "etcd doesn't answer"
    for _ in range(30):
        clock.sleep(1)
        health.pulse()
    assert health.pulse().failing_s == pytest.approx(31 - 1, abs=1.5)
    release.set()
    thread.join()
    assert health.pulse().healthy_s > 0


def test_an_etcd_that_holds_nothing_is_told() -> None:
    health = Health(Plane(lambda: False), INTERVAL_S, SteppedClock())
    health.probe()

    assert health.pulse().is_empty
    assert health.pulse().healthy_s > 0


def test_whether_it_is_well_is_asked_at_that_very_moment() -> None:
    plane = Plane(lambda: True)
    health = Health(plane, INTERVAL_S, SteppedClock())
    assert health.is_well()
    plane.answered = refuse
    assert health.pulse().healthy_s > 0
    assert not health.is_well()
    plane.answered = lambda: True
    assert not health.is_well()
    health.probe()
    assert health.is_well()
