"""``replicator gap``: what nobody recorded, and that somebody has looked at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from replicator import wiring
from replicator.cli.gaps import GapLine, gap_line, gap_words
from replicator.cli.options import EPOCH, archive_option, json_option, print_json
from replicator.cli.stdout import answering
from replicator.cli.words import say
from replicator.core.gaps import Difference  # noqa: TC001 (msgspec reads the annotations)
from replicator.core.quantities import format_time
from replicator.flows.gaps import acknowledge, differences, find_gaps, gap_before
from replicator.flows.open_archive import open_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl
    from replicator.ports import ObjectStore


class Gaps(msgspec.Struct, frozen=True):
    """What ``gap list --json`` says."""

    archive_id: str
    gaps: tuple[GapLine, ...]


class Shown(msgspec.Struct, frozen=True):
    """What ``gap show --json`` says: the gap, and each key that differs across it, in byte order."""

    gap: GapLine
    keys: tuple[Difference, ...]


class Acknowledged(msgspec.Struct, frozen=True):
    """What ``gap ack --json`` says; *already* tells that it was acknowledged before."""

    gap: GapLine
    already: bool


@click.group("gap", subcommand_metavar="COMMAND")
def command() -> None:
    """Show what nobody recorded, and acknowledge it. A gap is named by the epoch that follows it."""


epoch_argument = click.argument("epoch", type=EPOCH, metavar="EPOCH")


@command.command("list")
@archive_option
@json_option
@click.pass_obj
def list_(shared: Shared, *, archive: ArchiveUrl | None, as_json: bool) -> None:
    """Show each gap: how long, why, how many keys differ across it, and whether it is acknowledged."""
    store = _store(shared, archive)
    opened = open_archive(store)
    found = find_gaps(store, opened.epochs)
    if as_json:
        print_json(Gaps(opened.archive.archive_id, tuple(map(gap_line, found))))
        return
    with answering():
        for line in [line for gap in found for line in gap_words(gap)] or ["no gaps"]:
            say(line)


@command.command("show")
@epoch_argument
@archive_option
@json_option
@click.pass_obj
def show(shared: Shared, *, epoch: int, archive: ArchiveUrl | None, as_json: bool) -> None:
    """Show each key that differs across the gap before EPOCH, with its mod_revision on both sides.

    `+` is a key that was created, `-` one that was deleted, `~` one that was updated, and `=` one that was
    written anew with the same value. What they held: `replicator restore --format kv` of both sides.
    """
    store = _store(shared, archive)
    opened = open_archive(store)
    gap = gap_before(epoch, find_gaps(store, opened.epochs))
    keys = differences(store, opened.archive, gap)
    if as_json:
        print_json(Shown(gap_line(gap), tuple(keys)))
        return
    with answering():
        for line in gap_words(gap):
            say(line)
        for line in _key_words(keys):
            say(line)


@command.command("ack")
@epoch_argument
@click.option("--note", default="", metavar="TEXT", help="What was found out; kept for good: no secrets.")
@archive_option
@json_option
@click.pass_obj
def ack(shared: Shared, *, epoch: int, note: str, archive: ArchiveUrl | None, as_json: bool) -> None:
    """Write down for good that somebody has looked at the gap before EPOCH.

    It stays a gap: a restore into it is still refused. `replicator status` no longer counts it as open.
    """
    store = _store(shared, archive)
    gap = gap_before(epoch, find_gaps(store, open_archive(store).epochs))
    before = acknowledge(store, gap, wiring.SystemClock().now(), note)
    if before is not None:
        said = f": {before.note}" if before.note else ""
        say(f"it was acknowledged already, {format_time(before.acknowledged_at)}{said}", err=True)
    if as_json:
        (now,) = find_gaps(store, [gap.epoch])
        print_json(Acknowledged(gap_line(now), before is not None))
    elif before is None:
        say(f"the gap before epoch {epoch} is acknowledged", err=True)


def _store(shared: Shared, archive: ArchiveUrl | None) -> ObjectStore:
    settings = shared.settings(archive)
    return wiring.store(settings)


def _key_words(keys: list[Difference]) -> Iterator[str]:
    for one in keys:
        mark = "=" if one.same_value else {"created": "+", "updated": "~", "deleted": "-"}[one.op]
        key = one.key if one.key is not None else repr(one.raw_key)[2:-1]
        yield f"{mark} {one.before or '-':>12} {one.after or '-':>12}  {key}"
