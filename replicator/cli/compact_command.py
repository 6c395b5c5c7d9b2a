"""``replicator compact``: merge small segments, as `run` does by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from replicator import wiring
from replicator.cli.options import DURATION, archive_option, json_option, print_json
from replicator.cli.progress import progress
from replicator.cli.stdout import answering
from replicator.cli.words import say
from replicator.flows.compact import compact
from replicator.flows.merge import MergeRules

if TYPE_CHECKING:
    from datetime import timedelta

    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl


class Compacted(msgspec.Struct, frozen=True):
    """What ``compact --json`` says.

    Attributes:
        made: Names of the merged objects that were made.
        deleted: Names of the objects that were deleted, since merged objects hold what they held.
        waiting: How many objects will go when their grace time is over.
        damaged: What was wrong with merged objects that were deleted; their sources stay and merge again.
    """

    made: tuple[str, ...]
    deleted: tuple[str, ...]
    waiting: int
    damaged: tuple[str, ...] = ()


@click.command("compact")
@click.option(
    "--grace",
    type=DURATION,
    default="1h",
    show_default=True,
    metavar="DURATION",
    help="How long merged segments stay beside the object that holds them, for restores under way.",
)
@archive_option
@json_option
@click.pass_obj
def command(shared: Shared, *, grace: timedelta, archive: ArchiveUrl | None, as_json: bool) -> None:
    """Merge the small segments before the newest snapshot of each epoch into large objects.

    Every moment stays restorable. `run` does this by itself; called twice, the second call finds nothing to
    do. Small segments are deleted by a later call, when their grace time is over.
    """
    settings = shared.settings(archive)
    store = wiring.store(settings)
    with progress("merging", "objects") as bar:
        done = compact(store, MergeRules(grace=grace), wiring.SystemClock(), bar)
    if as_json:
        print_json(Compacted(tuple(done.made), tuple(done.deleted), done.waiting, tuple(done.damaged)))
        return
    with answering():
        for name in done.made:
            say(f"merged   {name}")
        for cause in done.damaged:
            say(f"deleted, as its sources are still there: {cause}")
        say(f"deleted  {len(done.deleted)} objects that merged ones hold")
        if done.waiting:
            say(f"waiting  {done.waiting} objects, until their grace time is over")
