"""The system's clock: the one place that asks the time and that sleeps."""

from __future__ import annotations

import time
from datetime import UTC, datetime

# Unlike CLOCK_MONOTONIC it goes on while the machine sleeps: a writer that wakes up must know for how long.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The `Clock` of a real process."""

    def now(self) -> datetime:
        """Return the wall-clock time: aware, UTC."""
        return datetime.now(UTC)  # noqa: TID251 (this is the clock adapter)

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never decreases."""
        return time.clock_gettime(_CLOCK)

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for *seconds*."""
        time.sleep(seconds)  # noqa: TID251
