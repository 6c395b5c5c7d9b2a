"""What was measured: figures with their targets, as a table, as JSON and as Markdown."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence  # noqa: TC003 (msgspec reads the annotations)
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

_PIPE_WIDTH = 150
_COLUMNS = ("what", "against", "ratio", "to reach", "measured")


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A ratio; smaller is better.

    Attributes:
        what: What was measured.
        against: What it was divided by.
        ratio: The median of the rounds' ratios.
        target: The ratio to reach, at most; None where none is set.
        measured: What lies behind it, in units.
    """

    what: str
    against: str
    ratio: float
    target: float | None = None
    measured: str = ""

    @property
    def verdict(self) -> str:
        """The target, and whether it is reached; empty if there is none."""
        if self.target is None:
            return ""
        return f"<= {self.target:g}: {'yes' if self.ratio <= self.target else 'NO'}"

    def cells(self) -> tuple[str, ...]:
        """Return the row of a table, as `_COLUMNS` names its columns."""
        return self.what, self.against, f"{self.ratio:.2f}", self.verdict, self.measured


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the benchmarks: when, of which commit, on what, and what came out."""

    date: str
    commit: str
    machine: str
    load_average: float
    figures: Sequence[Figure]


def report(figures: Sequence[Figure], load_average: float) -> Report:
    """Return the report of what was measured now; *load_average* is the machine's before it began."""
    return Report(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=_git("describe", "--always", "--dirty", "--exclude=*"),
        machine=f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}",
        load_average=load_average,
        figures=figures,
    )


def show(done: Report) -> None:
    """Print the report as a table, coloured on a terminal."""
    console = Console()
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    table = Table(title=_headline(done), title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="right" if column == "ratio" else "left")
    for figure in done.figures:
        missed = figure.verdict.endswith("NO")
        table.add_row(*figure.cells(), style="red" if missed else None)
    console.print(table)


def markdown(done: Report) -> str:
    """Return the report as a section of docs/performance.md."""
    lines = [f"{_headline(done)}.", "", f"| {' | '.join(_COLUMNS)} |", "|---|---|--:|---|---|"]
    lines += [f"| {' | '.join(figure.cells())} |" for figure in done.figures]
    return "\n".join(lines) + "\n"


def _headline(done: Report) -> str:
    return f"{done.date}, commit {done.commit}, {done.machine}, load average {done.load_average:.1f} before"


def _git(*arguments: str) -> str:
    folder = Path(__file__).parent
    command = ["git", *arguments]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"
