"""``replicator history``: what happened, line by line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
import msgspec

from replicator import wiring
from replicator.apisix.resource import parse_resource
from replicator.cli.history_words import Teller
from replicator.cli.options import TIME, archive_option
from replicator.cli.stdout import answering
from replicator.cli.words import say
from replicator.core.plan import AtTime
from replicator.core.scan import Selection
from replicator.errors import UsageError
from replicator.flows.changes import EVERYTHING, History
from replicator.flows.instance import holds_files
from replicator.flows.open_archive import open_archive

if TYPE_CHECKING:
    from datetime import datetime

    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl
    from replicator.core.documents import Archive
    from replicator.ports import ObjectStore

_FOLLOW_EACH_S = 2.0


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of one call."""

    resource: str | None
    since: datetime | None
    until: datetime | None
    follow: bool
    heartbeats: bool
    reveal: bool
    as_json: bool
    archive: ArchiveUrl | None


@click.command("history")
@click.argument("resource", required=False, metavar="[TYPE[/ID]]")
@click.option("--since", type=TIME, metavar="TIME", help="Leave out what lies before.")
@click.option("--until", type=TIME, metavar="TIME", help="Leave out what lies after.")
@click.option("--follow", is_flag=True, help="Go on with what is recorded from now on, until interrupted.")
@click.option("--heartbeats", is_flag=True, help="Also what gateways write to tell that they are alive.")
@click.option("--reveal", is_flag=True, help="Show secrets too; else *** stands for each.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object on each line.")
@archive_option
@click.pass_obj
def command(shared: Shared, /, **words: Any) -> None:
    """Show each change: when (and how sure), at which revision, to what, and what about it.

    \b
      replicator history routes/1
      replicator history --since -2h
      replicator history consumers --follow
    """  # noqa: D301 (click wants the character itself)
    asked = Asked(**words)
    if asked.follow and asked.until is not None:
        raise UsageError("--follow has no end, and --until is one", hint="leave out one of them")
    store = wiring.store(shared.settings(asked.archive))
    found = gateway_archive(store)
    history = History(
        store,
        selection_of(asked.resource, found.prefix),
        AtTime(asked.since, exclusive=True) if asked.since is not None else None,
        AtTime(asked.until) if asked.until is not None else None,
    )
    teller = Teller(found.prefix, reveal=asked.reveal, heartbeats=asked.heartbeats)
    _tell(history, teller, as_json=asked.as_json)
    while asked.follow:
        wiring.SystemClock().sleep(_FOLLOW_EACH_S)
        _tell(history, teller, as_json=asked.as_json)


def _tell(history: History, teller: Teller, *, as_json: bool) -> None:
    """Print what is new in *history*, as it is read."""
    for item in history.read():
        if not teller.shown(item) and item.changes:
            continue
        with answering():
            if as_json:
                click.echo(msgspec.json.encode(teller.line(item)))
                continue
            for line in teller.words(item):
                say(line)


def gateway_archive(store: ObjectStore) -> Archive:
    """Return the identity of the archive in *store*, which has a gateway's resources.

    Raises:
        UsageError: There is none, or it is one of files.
    """
    archive = open_archive(store).archive
    if holds_files(archive):
        raise UsageError(
            f"{store} is an archive of files: it has no resources",
            hint="name the archive of etcd: --archive URL",
        )
    return archive


def selection_of(resource: str | None, prefix: str) -> Selection:
    """Return the keys of *resource* as somebody typed it; all keys for None.

    Raises:
        UsageError: It is no resource.
    """
    if resource is None:
        return EVERYTHING
    parsed = parse_resource(resource)
    return Selection(parsed.key(prefix.encode()), is_whole=parsed.is_one)
