"""``python -m benchmarks [QUESTION...]``: measure, and print a table of ratios."""

from __future__ import annotations

import os
import time
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
from msgspec import structs

from benchmarks.ground import standing_on
from benchmarks.plots import draw
from benchmarks.report import RESULTS, Figure, markdown, report, show, write
from benchmarks.rounds import FULL, QUICK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.ground import Store
    from benchmarks.report import Finding, Report
    from benchmarks.rounds import Scale

QUESTIONS = (
    "catchup",
    "live",
    "bootstrap",
    "restore",
    "startup",
    "length",
    "history",
    "rewriting",
    "memory",
    "storage",
    "requests",
    "follower",
)

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("questions", nargs=-1, metavar="[QUESTION]...", type=click.Choice(QUESTIONS))
@click.option("--quick", is_flag=True, help="A fraction of the size, fewer rounds and no verdicts.")
@click.option(
    "--store",
    type=click.Choice(["directory", "moto", "ceph"]),
    default="directory",
    show_default=True,
    help="Where archives are, for questions that it makes a difference to.",
)
@click.option("--save", is_flag=True, help="Keep report and plots below benchmarks/results/, by commit.")
@click.option("--json", "json_file", type=_FILE, help="The report for scripts.")
@click.option("--markdown", "markdown_file", type=_FILE, help="The report's table as a page has it.")
def main(
    questions: tuple[str, ...],
    *,
    quick: bool,
    store: Store,
    save: bool,
    json_file: Path | None,
    markdown_file: Path | None,
) -> None:
    """Measure the replicator beside what it is compared with, and print the ratios.

    Without a QUESTION all are measured.
    """
    load_average, started = os.getloadavg()[0], time.monotonic()
    scale = QUICK if quick else FULL
    findings: list[Finding] = []
    for name in questions or QUESTIONS:
        news = _measured(name, scale, store)
        findings += map(_without_target, news) if quick else news  # targets are those of the full size
        done = report(findings, load_average, time.monotonic() - started, store)
        if save:  # what breaks off has still said something
            _keep(done)
    show(done)
    if json_file is not None:
        write(done, json_file)
    if markdown_file is not None:
        markdown_file.write_text(markdown(done))


def _keep(done: Report) -> None:
    folder = RESULTS / done.commit.removesuffix("-dirty")
    folder.mkdir(parents=True, exist_ok=True)
    write(done, folder / "report.json")
    draw(done, folder)


def _measured(question: str, scale: Scale, store: Store) -> Iterator[Finding]:
    click.echo(f"measuring {question} ...", err=True)
    started = time.monotonic()
    with TemporaryDirectory() as folder, standing_on(scale, Path(folder), store) as ground:
        for finding in import_module(f"benchmarks.bench_{question}").measure(ground):
            yield structs.replace(finding, question=question) if isinstance(finding, Figure) else finding
    click.echo(f"  {time.monotonic() - started:.0f} s", err=True)


def _without_target(finding: Finding) -> Finding:
    return structs.replace(finding, target=None) if isinstance(finding, Figure) else finding


if __name__ == "__main__":
    main()
