"""What was measured: figures with their targets, curves to be drawn, facts for models."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

RESULTS = Path(__file__).parent / "results"

_PIPE_WIDTH = 150
_COLUMNS = ("what", "against", "ratio", "to reach", "measured")


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A ratio.

    Attributes:
        what: What was measured.
        against: What it was compared with.
        ratio: The median of the rounds' ratios.
        target: The ratio to reach; None where none is set.
        is_least: Whether the target is the least, and larger is better; else it is the most.
        measured: What lies behind it, in units.
        question: The question that it answers.
    """

    what: str
    against: str
    ratio: float
    target: float | None = None
    is_least: bool = False
    measured: str = ""
    question: str = ""

    @property
    def is_reached(self) -> bool | None:
        """Whether the target is reached; None if there is none."""
        if self.target is None:
            return None
        return self.ratio >= self.target if self.is_least else self.ratio <= self.target

    @property
    def share(self) -> float | None:
        """How much of what the target allows was needed: up to 1 is fine; None without a target."""
        if self.target is None:
            return None
        return self.target / self.ratio if self.is_least else self.ratio / self.target

    @property
    def verdict(self) -> str:
        """The target, and whether it is reached; empty if there is none."""
        if self.target is None:
            return ""
        sign = ">=" if self.is_least else "<="
        return f"{sign} {self.target:g}: {'yes' if self.is_reached else 'NO'}"

    def cells(self) -> tuple[str, ...]:
        """Return the row of a table, as `_COLUMNS` names its columns."""
        return self.what, self.against, f"{self.ratio:.2f}", self.verdict, self.measured


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """A line to be drawn.

    Attributes:
        plot: On which plot.
        label: What it is called there.
        points: Pairs of where and how much, in order.
    """

    plot: str
    label: str
    points: tuple[tuple[float, float], ...]


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """A number that models reckon with.

    Attributes:
        name: What it is; its unit is at the end.
        value: The number.
    """

    name: str
    value: float


Finding = Figure | Curve | Fact


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the benchmarks: when, of which commit, on what, for how long, and what came out."""

    date: str
    commit: str
    machine: str
    load_average: float
    took_s: float
    store: str
    figures: tuple[Figure, ...]
    curves: tuple[Curve, ...] = ()
    facts: dict[str, float] = {}

    @property
    def headline(self) -> str:
        """When, of what and on what it was."""
        return (
            f"{self.date}, commit {self.commit}, {self.machine}, load average {self.load_average:.1f} "
            f"before, store {self.store}, {self.took_s / 60:.1f} minutes"
        )


def report(findings: Iterable[Finding], load_average: float, took_s: float, store: str) -> Report:
    """Return the report of what was measured now; *load_average* is the machine's before it began."""
    kept = list(findings)
    return Report(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=_git("describe", "--always", "--dirty", "--exclude=*"),
        machine=f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}",
        load_average=load_average,
        took_s=round(took_s, 1),
        store=store,
        figures=tuple(one for one in kept if isinstance(one, Figure)),
        curves=tuple(one for one in kept if isinstance(one, Curve)),
        facts={one.name: one.value for one in kept if isinstance(one, Fact)},
    )


def show(done: Report) -> None:
    """Print the report as a table, coloured on a terminal."""
    console = Console()
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    table = Table(title=done.headline, title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="right" if column == "ratio" else "left")
    for figure in done.figures:
        table.add_row(*figure.cells(), style="red" if figure.is_reached is False else None)
    console.print(table)


def markdown(done: Report) -> str:
    """Return the report as a table of docs/performance.md."""
    lines = [f"{done.headline}.", "", f"| {' | '.join(_COLUMNS)} |", "|---|---|--:|---|---|"]
    lines += [f"| {' | '.join(figure.cells())} |" for figure in done.figures]
    return "\n".join(lines) + "\n"


def write(done: Report, path: Path) -> None:
    """Write *done* for scripts."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(done)) + b"\n")


def read(path: Path) -> Report:
    """Return the report that `write` has written."""
    return msgspec.json.decode(path.read_bytes(), type=Report)


def newest() -> tuple[Path, Report]:
    """Return the newest report below `RESULTS`, and its folder."""
    found = [(path.parent, read(path)) for path in RESULTS.glob("*/report.json")]
    return max(found, key=lambda pair: pair[1].date)


def _git(*arguments: str) -> str:
    folder = Path(__file__).parent
    command = ["git", *arguments]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"
