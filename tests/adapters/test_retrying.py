"""How long it is tried, at which pauses, and what ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from servers.clock import SteppedClock

from replicator.adapters.retrying import Retrying
from replicator.errors import ObjectMissing, StoreMisconfigured, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable


def failing(times: int, error: Exception) -> Callable[[int], int]:
    """Return a request that raises *error* in its first attempts, then returns the attempt's number."""

    def request(attempt: int) -> int:
        if attempt <= times:
            raise error
        return attempt

    return request


@pytest.mark.parametrize("times", [0, 1, 7])
def test_what_passes_is_tried_until_it_has(times: int) -> None:
    clock = SteppedClock()
    told: list[Any] = []
    retrying = Retrying(on_retry=lambda *arguments: told.append(arguments), clock=clock)
    assert retrying("get", "a", failing(times, StoreUnavailable("busy"))) == times + 1
    assert told == [("get", "a", attempt + 1, "busy") for attempt in range(times)]
    assert len(clock.pauses) == times


def test_pauses_grow_to_a_cap_and_the_time_is_kept() -> None:
    clock = SteppedClock()
    error = StoreUnavailable("busy", hint="wait")
    with pytest.raises(StoreUnavailable, match=r"busy \(attempt \d+\)") as caught:
        Retrying(total_seconds=60, clock=clock)("get", "a", failing(1000, error))
    assert caught.value.hint == "wait"
    assert 57 <= clock.monotonic() <= 60
    for number, pause in enumerate(clock.pauses):
        longest = min(3.0, 0.1 * 2**number)
        assert longest / 2 <= pause <= longest


@pytest.mark.parametrize("error", [StoreMisconfigured("no bucket"), ObjectMissing("a"), ZeroDivisionError()])
def test_what_does_not_pass_is_raised_at_once(error: Exception) -> None:
    clock = SteppedClock()
    with pytest.raises(type(error)) as caught:
        Retrying(clock=clock)("get", "a", failing(1, error))
    assert caught.value is error
    assert clock.pauses == []
