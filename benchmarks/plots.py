"""A report as pictures, each as SVG and PNG."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.prices import DUMP, LOADS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.report import Curve, Figure, Report

_GOOD, _BAD, _QUIET = "#2a7f62", "#b8433a", "#6b7280"
_COLOURS = ("#2a7f62", "#3b6ea5", "#c98a1b", "#8a5a9e", "#b8433a", "#4b5563")
_WRAP = 62

mpl.rcParams.update(
    {
        "svg.hashsalt": "replicator",  # the same report gives the same bytes
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e5e7eb",
        "axes.axisbelow": True,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
    }
)


def draw(done: Report, folder: Path) -> list[str]:
    """Draw all plots that *done* has data for into *folder*; return their names."""
    drawn = []
    if any(figure.target is not None for figure in done.figures):
        drawn.append(_save(_targets(done), folder, "targets"))
    for name, make in _PLOTS.items():
        curves = [curve for curve in done.curves if curve.plot == name]
        if curves:
            drawn.append(_save(make(curves), folder, name))
    return drawn


def _save(picture: Picture, folder: Path, name: str) -> str:
    picture.savefig(folder / f"{name}.svg", metadata={"Date": None})
    picture.savefig(folder / f"{name}.png", dpi=110)
    return name


def _targets(done: Report) -> Picture:
    """Bars of what the targets allow: shorter is better, and the line is the target."""
    figures = [figure for figure in done.figures if figure.target is not None][::-1]
    picture, axes = _picture(10.5, 1.3 + 0.46 * len(figures))
    shares = [figure.share or 0.0 for figure in figures]
    colours = [_GOOD if figure.is_reached else _BAD for figure in figures]
    axes.barh(range(len(figures)), shares, color=colours, height=0.62)
    axes.set_yticks(range(len(figures)), [_name(figure) for figure in figures], fontsize=8)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(min(0.1, *(share / 1.3 for share in shares)), max(3.0, *(2.2 * share for share in shares)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("share of what the target allows; left of the line it is reached")
    axes.set_title(f"What was reached, commit {done.commit}")
    axes.grid(visible=False, axis="y")
    for place, (share, figure) in enumerate(zip(shares, figures, strict=True)):
        sign = "≥" if figure.is_least else "≤"
        text = f" {figure.ratio:.2f}, target {sign} {figure.target:g}"
        axes.text(share, place, text, va="center", fontsize=8, color=_QUIET)
    return picture


def _name(figure: Figure) -> str:
    return fill(f"{figure.what} / {figure.against}", _WRAP)


def _latency(curves: list[Curve]) -> Picture:
    picture, axes = _picture(8.5, 4.6)
    for curve, colour in zip(curves, _COLOURS, strict=False):
        axes.plot(*zip(*curve.points, strict=True), label=curve.label, color=colour, linewidth=1.6)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} ms"))
    axes.set_ylim(0, 100)
    axes.set_ylabel("per cent of the changes")
    axes.set_xlabel("durable within so long after etcd's acknowledgement")
    axes.set_title("From commit to durable")
    axes.legend(loc="upper left", fontsize=8, frameon=True)
    return picture


def _length(curves: list[Curve]) -> Picture:
    picture, axes = _picture(7.5, 3.8)
    for curve, colour in zip(curves, _COLOURS, strict=False):
        axes.plot(*zip(*curve.points, strict=True), "o-", label=curve.label, color=colour)
    first = curves[0].points[0][1]
    axes.axhline(1.3 * first, color=_BAD, linewidth=1, linestyle="--", label="1.3 times the shortest")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylim(0, 1.25 * max(1.3 * first, *(point[1] for curve in curves for point in curve.points)))
    axes.set_ylabel("milliseconds")
    axes.set_xlabel("changes in the history")
    axes.set_title("Restore time as a history grows, the same state and tail")
    axes.legend(loc="lower right", fontsize=8)
    return picture


def _price(curves: list[Curve]) -> Picture:
    """Bars by load, one for each role; on a logarithmic scale, as a writer may do seconds or minutes."""
    picture, axes = _picture(8.0, 4.2)
    width = 0.26
    for place, (curve, colour) in enumerate(zip(curves, _COLOURS, strict=False)):
        at = [x + (place - 1) * width for x, _ in curve.points]
        bars = axes.bar(
            at, [price for _, price in curve.points], width * 0.92, label=curve.label, color=colour
        )
        axes.bar_label(bars, fmt=lambda price: f"${price:.2f}", fontsize=8, padding=2)
    axes.axhline(
        DUMP.price,
        color=_QUIET,
        linewidth=1,
        linestyle="--",
        label=f"API7's dump once a minute, ${DUMP.price:.2f}",
    )
    axes.set_yscale("log")
    axes.set_ylim(0.05, 40)
    axes.set_xticks(range(len(LOADS)), list(LOADS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"${value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=False, axis="x")
    axes.set_title("Requests to S3: dollars a month")
    axes.legend(loc="upper left", fontsize=8)
    return picture


def _storage(curves: list[Curve]) -> Picture:
    """Bars of log and snapshots, in bytes an event."""
    picture, axes = _picture(8.5, 1.2 + 0.6 * len(curves))
    rows = range(len(curves))[::-1]
    log = [curve.points[0][0] for curve in curves]
    whole = [sum(curve.points[0]) for curve in curves]
    bars = axes.barh(rows, whole, color=_COLOURS[2], label="with snapshots", height=0.55)
    axes.bar_label(bars, fmt=lambda size: f"{size:,.0f}", fontsize=8, padding=3)
    axes.barh(rows, log, color=_COLOURS[1], label="log alone", height=0.55)
    axes.set_yticks(rows, [fill(curve.label, 34) for curve in curves], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(10, 4 * max(whole))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("bytes an event")
    axes.set_title("What is stored for a change")
    axes.legend(loc="lower right", fontsize=8)
    return picture


def _picture(width: float, height: float) -> tuple[Picture, Axes]:
    picture = Picture(figsize=(width, height), layout="constrained")
    return picture, picture.add_subplot()


_PLOTS: dict[str, Callable[[list[Curve]], Picture]] = {
    "latency": _latency,
    "length": _length,
    "price": _price,
    "storage": _storage,
}
