"""Which of many changes is the first bad one: by halves, as `git bisect` does it."""

from __future__ import annotations

from typing import Literal

Verdict = Literal["good", "bad", "skip"]


class Bisection:
    """Looks for the first bad state among those numbered 1 to *bad*, where 0 is good and *bad* is bad."""

    def __init__(self, bad: int) -> None:
        self.good, self.bad = 0, bad
        self._skipped: set[int] = set()

    @property
    def suspects(self) -> list[int]:
        """All states of which one is the first bad one, in order."""
        return list(range(self.good + 1, self.bad + 1))

    @property
    def steps_left(self) -> int:
        """About how many more have to be tried."""
        return (self.bad - self.good - 1).bit_length()

    def next(self) -> int | None:
        """Return what to try next: the middle, or what is nearest and wasn't skipped; None at the end."""
        middle = (self.good + self.bad) // 2
        left = [number for number in range(self.good + 1, self.bad) if number not in self._skipped]
        return min(left, key=lambda number: (abs(number - middle), number), default=None)

    def tell(self, number: int, verdict: Verdict) -> None:
        """Take note of what was found of the state *number*."""
        if verdict == "skip":
            self._skipped.add(number)
        elif verdict == "good":
            self.good = max(self.good, number)
        else:
            self.bad = min(self.bad, number)
