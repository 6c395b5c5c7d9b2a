"""A clock that stands still until somebody sleeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class SteppedClock:
    """A `Clock` whose `sleep` returns at once, with the time moved on; `pauses` holds what was slept."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def now(self) -> datetime:
        """Return the start of 2026 plus all that was slept."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=sum(self.pauses))

    def monotonic(self) -> float:
        """Return all that was slept."""
        return sum(self.pauses)

    def sleep(self, seconds: float) -> None:
        """Move the time on."""
        self.pauses.append(seconds)
