"""``replicator diff``: what differs between two moments, or a moment and etcd now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from replicator import wiring
from replicator.apisix.resource import is_heartbeat
from replicator.cli.diff_words import DiffWords
from replicator.cli.history_command import gateway_archive, selection_of
from replicator.cli.moments import LIVE, MOMENT_HELP, MomentsCommand, parse_moment
from replicator.cli.options import archive_option, json_option, print_json
from replicator.cli.progress import progress
from replicator.cli.stdout import answering
from replicator.cli.words import say
from replicator.errors import Different, UsageError
from replicator.flows import keyspace

if TYPE_CHECKING:
    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl, Settings
    from replicator.flows.changes import KeyChange
    from replicator.flows.keyspace import Keyspace
    from replicator.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of one call."""

    one: str
    other: str
    only: str | None
    stat: bool
    unified: bool
    tells: bool
    heartbeats: bool
    reveal: bool
    archive: ArchiveUrl | None
    as_json: bool


@click.command("diff", cls=MomentsCommand)
@click.argument("one", metavar="A")
@click.argument("other", metavar="[B]", default=LIVE)
@click.option("--only", metavar="TYPE[/ID]", help="Only this resource, or those of this type.")
@click.option("--stat", is_flag=True, help="Only how many of each type.")
@click.option("--unified", is_flag=True, help="The values as indented JSON, as `diff -u` compares texts.")
@click.option("--exit-code", "tells", is_flag=True, help="End with 8 if anything differs.")
@click.option("--heartbeats", is_flag=True, help="Also what gateways write to tell that they are alive.")
@click.option("--reveal", is_flag=True, help="Show secrets too; else *** stands for each.")
@archive_option
@json_option
@click.pass_obj
def command(shared: Shared, /, **words: Any) -> None:
    """Show what differs from moment A to moment B; B is etcd as it is now if it isn't named, or ``live``.

    A moment is a time (RFC 3339 with a zone, or relative like -15m), a revision, latest, or point:NAME.

    \b
      replicator diff -1h
      replicator diff 2026-11-23T03:00:00Z 2026-11-23T03:05:00Z --only routes
      replicator diff point:before-upgrade latest --stat
    """  # noqa: D301 (click wants the character itself)
    asked = Asked(**words)
    if asked.stat + asked.unified + asked.as_json > 1:
        raise UsageError("--stat, --unified and --json are different answers", hint="choose one")
    settings = shared.settings(asked.archive)
    store = wiring.store(settings)
    prefix = gateway_archive(store).prefix
    selection = selection_of(asked.only, prefix)
    before, after = (_keyspace(text, store, settings, prefix) for text in (asked.one, asked.other))
    found = [
        change
        for change in keyspace.differing(before.state, after.state)
        if selection.holds(change.key) and (asked.heartbeats or not is_heartbeat(change.key, prefix.encode()))
    ]
    teller = DiffWords(prefix, reveal=asked.reveal)
    if asked.as_json:
        print_json([teller.document(change) for change in found])
    else:
        _tell(teller, found, is_stat=asked.stat, is_unified=asked.unified)
    if found and asked.tells:
        raise Different(f"{len(found)} keys differ")


def _tell(teller: DiffWords, found: list[KeyChange], *, is_stat: bool, is_unified: bool) -> None:
    with answering():
        if is_stat:
            for line in teller.stat(found):
                say(line)
        else:
            for change in found:
                for line, colour in teller.unified(change) if is_unified else teller.lines(change):
                    say(line, fg=colour)
    if not found:
        say("nothing differs", err=True)


def _keyspace(text: str, store: ObjectStore, settings: Settings, prefix: str) -> Keyspace:
    """Return the keys of the moment that *text* names.

    Raises:
        UsageError: It names none; or etcd, and the settings are about another prefix than the archive.
    """
    if text != LIVE:
        with progress("replaying", "objects") as bar:
            return keyspace.at(store, parse_moment(text, store), bar)
    if settings.etcd.prefix != prefix:
        raise UsageError(
            f"the settings name the prefix {settings.etcd.prefix} of etcd, and the archive has {prefix}",
            hint=f"set etcd.prefix; or name two moments of the archive: {MOMENT_HELP}",
        )
    return keyspace.live(wiring.source(settings.etcd))
