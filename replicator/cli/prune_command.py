"""``replicator prune``: thin the history by the retention rule, as `run` does by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from replicator import wiring
from replicator.cli.options import archive_option, json_option, print_json
from replicator.cli.progress import progress
from replicator.cli.stdout import answering
from replicator.cli.words import say
from replicator.core.quantities import format_time, human_duration
from replicator.errors import UsageError
from replicator.flows.prune import plan_pruning, prune

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl
    from replicator.core.retention import RetentionRule
    from replicator.flows.prune import Pruning


class EpochThinning(msgspec.Struct, frozen=True, kw_only=True):
    """What goes of one epoch.

    Attributes:
        epoch: Its number.
        through_revision: Before this revision moments are thinned; 0 for none.
        snapshots: How many snapshots go.
        pieces: How many segments and merged objects go.
        kept: Revisions of the snapshots before *through_revision* that stay, for their day or a named point.
    """

    epoch: int
    through_revision: int
    snapshots: int
    pieces: int
    kept: tuple[int, ...]


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What ``prune --json`` says.

    Attributes:
        is_done: Whether it was done, or only looked at.
        counted_from: The moment that ages are counted from, RFC 3339.
        epochs: What goes of each epoch.
        objects: Names of all objects that go, or went.
        damaged: What is wrong with snapshots that couldn't be relied on; these stay.
    """

    is_done: bool
    counted_from: str
    epochs: tuple[EpochThinning, ...]
    objects: tuple[str, ...]
    damaged: tuple[str, ...]


@click.command("prune")
@click.option("--yes", is_flag=True, help="Do it. Without this, only say what would go.")
@archive_option
@json_option
@click.pass_obj
def command(shared: Shared, *, yes: bool, archive: ArchiveUrl | None, as_json: bool) -> None:
    """Delete what the retention rule no longer keeps: a dry run unless --yes is given.

    The rule is `retention.full` and `retention.daily` of the settings; `run` does the same once a day.
    Moments within `full`, one snapshot of each day until `daily`, what named points need, and the newest
    snapshot with all that follows it stay.
    """
    settings = shared.settings(archive)
    rule, clock = settings.retention.rule, wiring.SystemClock()
    if rule is None:
        raise UsageError(
            "no retention is set, so nothing may be deleted",
            hint="set retention.full in the file given by -c, or REPLICATOR_RETENTION_FULL=30d",
        )
    store = wiring.store(settings)
    pruning = plan_pruning(store, rule, clock)
    with progress("deleting", "objects") as bar:
        objects = prune(store, rule, clock, pruning, bar) if yes else pruning.doomed
    document = _document(pruning, objects, is_done=yes)
    if as_json:
        print_json(document)
        return
    with answering():
        for line in _words(document, rule):
            say(line)


def _document(pruning: Pruning, objects: list[str], *, is_done: bool) -> Pruned:
    epochs = tuple(
        EpochThinning(
            epoch=part.epoch,
            through_revision=part.through,
            snapshots=len(part.snapshots),
            pieces=len(part.pieces),
            kept=tuple(name.revision for name in part.carriers if name.revision < part.through),
        )
        for part in pruning.thinnings
    )
    damaged = tuple(map(str, pruning.damaged))
    counted_from = format_time(pruning.now)
    return Pruned(
        is_done=is_done, counted_from=counted_from, epochs=epochs, objects=tuple(objects), damaged=damaged
    )


def _words(document: Pruned, rule: RetentionRule) -> Iterator[str]:
    daily = f", one snapshot a day for {human_duration(rule.daily.total_seconds())}" if rule.daily else ""
    yield f"every moment stays for {human_duration(rule.full.total_seconds()) or '0'}{daily}"
    yield f"counted from {document.counted_from}"
    for part in document.epochs:
        if part.snapshots or part.pieces:
            yield (
                f"epoch {part.epoch}: before revision {part.through_revision} go {part.snapshots} snapshots "
                f"and {part.pieces} pieces of the log; {len(part.kept)} snapshots stay there"
            )
    yield from (f"left alone: {cause}" for cause in document.damaged)
    yield f"{'deleted' if document.is_done else 'would go'}: {len(document.objects)} objects"
    if document.objects and not document.is_done:
        yield from (f"  {name}" for name in document.objects)
        yield "nothing was deleted: say --yes to do it"
