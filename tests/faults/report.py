"""What many runs have come to: a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.run import Outcome

_NUMBERS = ("written", "recorded", "in_gaps", "before_base", "lost", "wrong", "restores", "gaps")


@dataclass
class Tally:
    """The sums over all runs.

    Attributes:
        runs: How many came to an end.
        failed: How many didn't, or found the simulation failing.
        simulated: How many schedules the simulation has tried.
        faults: How often which fault was injected.
        ends: How often a replica ended by itself, by exit code.
        numbers: The sums of the verdicts' numbers, by name.
    """

    runs: int = 0
    failed: int = 0
    simulated: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[int] = field(default_factory=Counter)
    numbers: Counter[str] = field(default_factory=Counter)

    @property
    def is_good(self) -> bool:
        """Whether nothing is lost, nothing wrong, and no run failed."""
        return not (self.failed or self.numbers["lost"] or self.numbers["wrong"])

    def add(self, outcome: Outcome) -> None:
        """Count one more run."""
        self.runs += 1
        self.faults.update(outcome.faults)
        self.ends.update(outcome.ends)
        self.numbers.update({name: getattr(outcome.verdict, name) for name in _NUMBERS})

    def table(self) -> str:
        """Return all of it, for people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{'fault':28} injected"
        yield from (f"{name:28} {count:8}" for name, count in sorted(self.faults.items()))
        yield f"{'all':28} {self.faults.total():8}\n"
        numbers = self.numbers
        rows = {
            "events written": numbers["written"],
            "recorded": numbers["recorded"],
            "in declared gaps": numbers["in_gaps"],
            "  held yet at the gap's end": numbers["before_base"],
            "lost": numbers["lost"],
            "wrong": numbers["wrong"],
            "states restored, compared": numbers["restores"],
            "gaps": numbers["gaps"],
            "runs": self.runs,
            "runs that failed": self.failed,
            "schedules simulated": self.simulated,
        }
        yield from (f"{name:28} {count:8}" for name, count in rows.items())
        ended = ", ".join(f"{count} with {code}" for code, count in sorted(self.ends.items())) or "none"
        yield f"ended by themselves, and started again: {ended}"
