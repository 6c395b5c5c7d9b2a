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
        rounds: How often each contender runs.
        load_s: Seconds of steady load in each round.
    """

    routes: int
    rounds: int
    load_s: int


FULL = Scale(routes=100_000, rounds=5, load_s=20)
QUICK = Scale(routes=10_000, rounds=3, load_s=5)


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
