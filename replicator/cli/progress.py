"""A bar for long work: how much is done, how quickly, and how long it still takes. On a terminal alone."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from replicator.flows.progress import UNWATCHED
from replicator.wiring import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress as RichProgress

    from replicator.flows.progress import Progress
    from replicator.ports import Clock

# What is over sooner needs no bar: it would only flicker, and rich takes its time to be imported.
_QUIET_S: Final = 0.5


@contextmanager
def progress(what: str, unit: str, clock: Clock | None = None) -> Iterator[Progress]:
    """Show on stderr, if that is a terminal, how the work in this block goes on; nothing of it stays there.

    Args:
        what: What is done: ``reading``.
        unit: What a step is, in the plural: ``objects``.
        clock: Times it; the system's if left out.
    """
    if not sys.stderr.isatty():
        yield UNWATCHED
        return
    bar = _Bar(what, unit, clock or SystemClock())
    try:
        yield bar
    finally:
        bar.end()


class _Bar:
    """A `Progress` that shows itself once the work turns out to be long."""

    def __init__(self, what: str, unit: str, clock: Clock) -> None:
        self._what = what
        self._unit = unit
        self._clock = clock
        self._begun = clock.monotonic()
        self._done = 0
        self._total = 0
        self._shown: RichProgress | None = None

    def expect(self, ahead: int) -> None:
        """From now on, about *ahead* steps are to be done."""
        self._total = self._done + ahead
        self._show()

    def step(self, count: int = 1) -> None:
        """So many more are done."""
        self._done += count
        self._total = max(self._total, self._done)
        self._show()

    def end(self) -> None:
        """Take the bar away."""
        if self._shown is not None:
            self._shown.stop()

    def _show(self) -> None:
        if self._shown is None:
            if self._clock.monotonic() - self._begun < _QUIET_S:
                return
            self._shown = _rich(self._unit)
            self._shown.add_task(self._what, total=None)
            self._shown.start()
        self._shown.update(self._shown.task_ids[0], completed=self._done, total=self._total or None)


def _rich(unit: str) -> RichProgress:
    """Return the bar itself, not begun."""
    from rich.console import Console  # noqa: PLC0415 (it takes longer to import than most work)
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text  # noqa: PLC0415

    class Rate(ProgressColumn):
        """How many steps a second."""

        def render(self, task: Task) -> Text:
            """Return the rate; nothing before it is known."""
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        Rate(),
        TextColumn("elapsed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
