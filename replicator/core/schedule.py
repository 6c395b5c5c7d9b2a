"""When something recurs, as cron and robfig/cron (which API7 uses) write it. All in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from cronsim import CronSim, CronSimError

from replicator.core.quantities import parse_duration
from replicator.errors import UsageError

_NAMED: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_SHORTEST: Final = timedelta(seconds=1)
_LONGEST: Final = timedelta(days=366)
_HINT: Final = 'write it like "@every 1m", "@hourly", or five fields of cron: "*/5 * * * *"'


@dataclass(frozen=True, slots=True)
class Schedule:
    """Recurring moments: ``@every 1m30s``, ``@hourly`` and its like, or five fields of cron.

    Raises:
        UsageError: *spec* can't be read, or names a date that never comes.
    """

    spec: str

    def __post_init__(self) -> None:
        """Refuse here what `next_after` would stumble over."""
        self.next_after(datetime(2000, 1, 1, tzinfo=UTC))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the schedule that *text* writes, blanks around it aside."""
        return cls(text.strip())

    def next_after(self, moment: datetime) -> datetime:
        """Return the first moment of this schedule later than *moment*, in UTC.

        ``@every`` counts from *moment*; everything else falls on whole minutes of the calendar.
        """
        if self.spec.startswith("@every"):
            return moment.astimezone(UTC) + self._interval()
        try:
            return next(CronSim(self._fields(), moment.astimezone(UTC)))
        except (CronSimError, StopIteration) as error:
            why = f": {error}" if str(error) else ""
            raise UsageError(f'no moment fits the schedule "{self.spec}"{why}', hint=_HINT) from None

    def _interval(self) -> timedelta:
        words = self.spec.split()
        if len(words) != 2 or words[0] != "@every":
            raise UsageError(f'"{self.spec}" is no schedule', hint=_HINT)
        interval = parse_duration(words[1])
        if not _SHORTEST <= interval <= _LONGEST:
            raise UsageError(f'"{self.spec}" is not between a second and a year', hint=_HINT)
        return interval

    def _fields(self) -> str:
        if re.match(r"(CRON_)?TZ=", self.spec):
            raise UsageError(f'"{self.spec}" names a time zone; schedules run in UTC', hint="leave it out")
        fields = _NAMED.get(self.spec.lower(), self.spec).split()
        if len(fields) == 6:
            raise UsageError(
                f'"{self.spec}" has a field for seconds',
                hint=f'leave the first out: "{" ".join(fields[1:])}"',
            )
        if len(fields) != 5:
            raise UsageError(f'"{self.spec}" is no schedule', hint=_HINT)
        return " ".join(fields)
