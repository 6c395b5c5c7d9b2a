"""``replicator export``: the history for DuckDB, Athena, Trino and Spark."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click
import msgspec

from replicator import wiring
from replicator.cli.history_command import gateway_archive
from replicator.cli.options import archive_option, json_option, place_type, print_json
from replicator.cli.progress import progress
from replicator.cli.words import say
from replicator.core.quantities import format_time
from replicator.flows.export import COLUMNS, export

if TYPE_CHECKING:
    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl


class Answer(msgspec.Struct, frozen=True):
    """What ``--json`` says.

    Attributes:
        days: The days that were written, as ``YYYY-MM-DD``.
        rows: How many rows they have.
        known_until: Until when the archive is known; the day of that is written when it is over.
    """

    days: tuple[str, ...]
    rows: int
    known_until: str


@click.command("export")
@click.option(
    "--parquet",
    "place",
    type=place_type,
    required=True,
    metavar="DIR|URL",
    help="Where to: a directory, file:///dir or s3://bucket/path (reached as the archive is).",
)
@click.option("--reveal", is_flag=True, help="Write secrets too; else *** stands for each.")
@archive_option
@json_option
@click.pass_obj
def command(
    shared: Shared, *, place: ArchiveUrl, reveal: bool, archive: ArchiveUrl | None, as_json: bool
) -> None:
    """Write the history as Parquet files, one for each day that is over; only days that aren't there yet.

    \b
      replicator -c replicator.yaml export --parquet /srv/history
      replicator -c replicator.yaml export --parquet s3://bucket/history
    """  # noqa: D301 (click wants the character itself)
    settings = shared.settings(archive)
    store = wiring.store(settings)
    gateway_archive(store)
    pack = partial(wiring.parquet(), COLUMNS)
    with progress("reading", "objects") as bar:
        done = export(store, wiring.plain_store(place, settings), pack, reveal=reveal, progress=bar)
    days = tuple(day.isoformat() for day in done.days)
    if as_json:
        print_json(Answer(days, done.rows, format_time(done.known_until)))
        return
    span = f" ({days[0]} to {days[-1]})" if days else ""
    say(f"{len(days)} days written{span}, {done.rows} rows; known until {format_time(done.known_until)}")
