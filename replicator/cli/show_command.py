"""``replicator show``: one resource at a moment."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
import msgspec

from replicator import wiring
from replicator.apisix.fields import Opaque, document_of
from replicator.apisix.resource import parse_one
from replicator.apisix.secrecy import masked
from replicator.cli.history_command import gateway_archive
from replicator.cli.moments import MOMENT_HELP, parse_moment
from replicator.cli.options import archive_option, json_option, print_json
from replicator.cli.progress import progress
from replicator.cli.stdout import answering
from replicator.cli.words import say
from replicator.core.quantities import format_time
from replicator.errors import UsageError
from replicator.flows import keyspace

if TYPE_CHECKING:
    from replicator.apisix.resource import Resource
    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl
    from replicator.core.records import Record
    from replicator.flows.keyspace import Keyspace


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What ``show --json`` says.

    Attributes:
        resource: As people call it.
        key: etcd's key.
        epoch: The epoch of the moment.
        at_revision: The last revision of the moment; `at_time` its stamp.
        create_revision: As etcd has it; so are the next three.
        mod_revision: Which revision put the value.
        version: How many puts it has seen since it was created.
        lease: The lease that it hangs on; 0 for none.
        value: The value, ``***`` for secrets unless ``--reveal``; a text, if it is no JSON.
    """

    resource: str
    key: str
    epoch: int | None
    at_revision: int
    at_time: str
    create_revision: int
    mod_revision: int
    version: int
    lease: int
    value: Any


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of one call."""

    resource: str
    moment: str
    reveal: bool
    raw: bool
    archive: ArchiveUrl | None
    as_json: bool


@click.command("show")
@click.argument("resource", metavar="TYPE/ID")
@click.option("--at", "moment", default="latest", show_default=True, metavar="MOMENT", help=MOMENT_HELP + ".")
@click.option("--reveal", is_flag=True, help="Show secrets too; else *** stands for each.")
@click.option("--raw", is_flag=True, help="The value's own bytes and nothing else, secrets and all.")
@archive_option
@json_option
@click.pass_obj
def command(shared: Shared, /, **words: Any) -> None:
    """Show one resource as it was at a moment.

    \b
      replicator show routes/1 --at -15m
      replicator show consumers/jack --at 2026-11-23T03:05:00Z --reveal
      replicator show routes/1 --at point:before-upgrade --raw > route.json
    """  # noqa: D301 (click wants the character itself)
    asked = Asked(**words)
    wanted = parse_one(asked.resource)
    if asked.raw and asked.as_json:
        raise UsageError("--raw and --json are two answers", hint="leave out one of them")
    store = wiring.store(shared.settings(asked.archive))
    prefix = gateway_archive(store).prefix.encode()
    with progress("replaying", "objects") as bar:
        found = keyspace.at(store, parse_moment(asked.moment, store), bar)
    key = wanted.key(prefix)
    record = found.state.get(key)
    if record is None:
        raise UsageError(
            f"{wanted} wasn't there {_moment(found)}",
            hint=f"replicator history {wanted}  (shows when it was)",
        )
    if asked.raw:
        with answering():
            sys.stdout.buffer.write(record.value)
        return
    document = document_of(record.value)
    value = document if asked.reveal else masked(wanted.type, document)
    if asked.as_json:
        print_json(_shown(wanted, key, found, record, value))
        return
    say(
        f"{wanted} {_moment(found)}: version {record.version}, put at revision {record.mod_revision}, "
        f"created at {record.create_revision}" + (f", on lease {record.lease:x}" if record.lease else ""),
        err=True,
    )
    with answering():
        text = (
            str(value)
            if isinstance(value, Opaque)
            else msgspec.json.format(msgspec.json.encode(value), indent=2)
        )
        click.echo(text)


def _moment(found: Keyspace) -> str:
    stamp = f", {format_time(found.observed_at)}" if found.observed_at else ""
    return f"at revision {found.state.revision}{stamp}"


def _shown(wanted: Resource, key: bytes, found: Keyspace, record: Record, value: Any) -> Shown:
    return Shown(
        resource=str(wanted),
        key=key.decode("utf-8", "backslashreplace"),
        epoch=found.epoch,
        at_revision=found.state.revision,
        at_time=format_time(found.observed_at) if found.observed_at else "",
        create_revision=record.create_revision,
        mod_revision=record.mod_revision,
        version=record.version,
        lease=record.lease,
        value=str(value) if isinstance(value, Opaque) else value,
    )
