"""Trying again what fails in passing."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from replicator.adapters.clock import SystemClock
from replicator.errors import StoreMisconfigured, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicator.ports import Clock

_T = TypeVar("_T")
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 3.0


def _never() -> bool:
    return False


def _untold(operation: str, name: str, attempt: int, cause: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Retrying:
    """How long to go on after a `StoreUnavailable` that is no `StoreMisconfigured`, and whom to tell.

    Args:
        total_seconds: No attempt begins later than this after the first one.
        on_retry: Called before each pause with operation, object name, number of the failed attempt, cause.
        clock: Times the whole, and pauses.
        is_ending: Tells whether the process is to end: then nobody waits for another attempt.
    """

    total_seconds: float = 25.0
    on_retry: Callable[[str, str, int, str], None] = _untold
    clock: Clock = field(default_factory=SystemClock)
    is_ending: Callable[[], bool] = _never

    def __call__(self, operation: str, name: str, request: Callable[[int], _T]) -> _T:
        """Return what *request* returns. It is given the number of the attempt, from 1.

        Raises:
            StoreUnavailable: It still failed when the time was up. Whatever else *request* raises passes.
        """
        deadline = self.clock.monotonic() + self.total_seconds
        attempt = 1
        while True:
            try:
                return request(attempt)
            except StoreMisconfigured:
                raise
            except StoreUnavailable as error:
                pause = _pause_seconds(attempt)
                if self.clock.monotonic() + pause > deadline or self.is_ending():
                    raise StoreUnavailable(f"{error} (attempt {attempt})", hint=error.hint) from error
                self.on_retry(operation, name, attempt, str(error))
            self.clock.sleep(pause)
            attempt += 1


def _pause_seconds(attempt: int) -> float:
    """Return a pause that doubles with each attempt up to a cap; half is chance, so that clients spread."""
    longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** (min(attempt, 10) - 1))
    return longest * random.uniform(0.5, 1.0)
