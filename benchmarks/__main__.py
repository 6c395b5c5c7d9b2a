"""``python -m benchmarks [QUESTION...]``: measure, and print a table of ratios."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
import msgspec
from msgspec import structs

from benchmarks.report import markdown, report, show
from benchmarks.rounds import FULL, QUICK

if TYPE_CHECKING:
    from benchmarks.report import Figure
    from benchmarks.rounds import Scale

QUESTIONS = ("restore", "capture", "memory")

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("questions", nargs=-1, metavar="[QUESTION]...", type=click.Choice(QUESTIONS))
@click.option("--quick", is_flag=True, help="A tenth of the size, fewer rounds and no verdicts.")
@click.option("--json", "json_file", type=_FILE, help="The report for scripts.")
@click.option("--markdown", "markdown_file", type=_FILE, help="The report as a page.")
def main(
    questions: tuple[str, ...], *, quick: bool, json_file: Path | None, markdown_file: Path | None
) -> None:
    """Measure the replicator beside what it is compared with, and print the ratios.

    QUESTION is restore, capture or memory; without one, all are measured.
    """
    load_average = os.getloadavg()[0]
    scale = QUICK if quick else FULL
    figures = [figure for question in questions or QUESTIONS for figure in _measured(question, scale)]
    if quick:  # the targets are those of the full size
        figures = [structs.replace(figure, target=None) for figure in figures]
    done = report(figures, load_average)
    show(done)
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(done)) + b"\n")
    if markdown_file is not None:
        markdown_file.write_text(markdown(done))


def _measured(question: str, scale: Scale) -> list[Figure]:
    click.echo(f"measuring {question} ...", err=True)
    with TemporaryDirectory() as folder:
        return list(import_module(f"benchmarks.bench_{question}").measure(scale, Path(folder)))


if __name__ == "__main__":
    main()
