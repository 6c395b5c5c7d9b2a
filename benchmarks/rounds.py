"""Contenders side by side: their rounds alternate, and what counts is the ratio within a round."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        routes: Routes of a large gateway.
        few_routes: Routes where a tenth says the same, or the other one takes minutes for more.
        rounds: How often each contender runs.
        events: Changes in a long history.
        lengths: Changes in histories whose restores are compared, the shortest first.
        backlog: Changes to catch up on.
        rate: Puts a second of a steady load.
        load_s: Seconds of steady load.
        window_s: Seconds over which requests are counted.
    """

    routes: int
    few_routes: int
    rounds: int
    events: int
    lengths: tuple[int, ...]
    backlog: int
    rate: int
    load_s: int
    window_s: int


FULL = Scale(
    routes=100_000,
    few_routes=10_000,
    rounds=3,
    events=1_000_000,
    lengths=(1_000, 10_000, 100_000, 1_000_000),
    backlog=200_000,
    rate=5_000,
    load_s=60,
    window_s=120,
)
QUICK = Scale(
    routes=5_000,
    few_routes=1_000,
    rounds=2,
    events=10_000,
    lengths=(1_000, 10_000),
    backlog=10_000,
    rate=1_000,
    load_s=3,
    window_s=6,
)
TINY = Scale(
    routes=50,
    few_routes=20,
    rounds=1,
    events=200,
    lengths=(20, 100),
    backlog=200,
    rate=100,
    load_s=1,
    window_s=1,
)
"""For the tests, which look whether it works, not how long it takes."""


def alternate(contenders: Mapping[str, Callable[[], Result]], rounds: int) -> dict[str, list[Result]]:
    """Run every contender once a round, in an order that turns: a slow spell hits them all alike."""
    results: dict[str, list[Result]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in list(contenders)[:: -1 if number % 2 else 1]:
            results[name].append(contenders[name]())
    return results


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios, round by round."""
    return median(our / their for our, their in zip(ours, theirs, strict=True))
