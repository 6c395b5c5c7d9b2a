"""``replicator rollback``: write one resource's old value forward into etcd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from replicator import wiring
from replicator.apisix.resource import parse_one
from replicator.cli.history_command import gateway_archive
from replicator.cli.moments import MOMENT_HELP, parse_moment
from replicator.cli.options import archive_option, json_option, print_json
from replicator.cli.progress import progress
from replicator.cli.rewriting import Consent, carry_out, etcd_of
from replicator.cli.words import say
from replicator.errors import Refused
from replicator.flows import keyspace
from replicator.flows.rewrite import plan_rollback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replicator.apisix.resource import Resource
    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl
    from replicator.flows.rewrite import Rollback


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of one call."""

    resource: str
    moment: str
    deep: bool
    force: bool
    dry_run: bool
    yes: bool
    archive: ArchiveUrl | None
    as_json: bool


@click.command("rollback")
@click.argument("resource", metavar="TYPE/ID")
@click.option("--to", "moment", required=True, metavar="MOMENT", help=MOMENT_HELP + ".")
@click.option(
    "--with-references", "deep", is_flag=True, help="Roll back what it refers to as well, where that differs."
)
@click.option("--force", is_flag=True, help="Also if something then refers to what isn't there.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and write nothing.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@archive_option
@json_option
@click.pass_obj
def command(shared: Shared, /, **words: Any) -> None:
    """Write one resource into etcd as it was at a moment; what it refers to and is gone, too.

    The plan is shown first. What somebody else changes meanwhile is never overwritten: it stops then.

    \b
      replicator -c replicator.yaml rollback routes/1 --to -15m --dry-run
      replicator -c replicator.yaml rollback routes/1 --to 2026-11-23T03:00:00Z --yes
    """  # noqa: D301 (click wants the character itself)
    asked = Asked(**words)
    resource = parse_one(asked.resource)
    settings = shared.settings(asked.archive)
    store = wiring.store(settings)
    prefix = gateway_archive(store).prefix
    etcd = etcd_of(settings, None, prefix)
    with progress("replaying", "objects") as bar:
        past = keyspace.at(store, parse_moment(asked.moment, store), bar)
    live = keyspace.live(etcd)
    found = plan_rollback(live.state, past.state, resource, prefix, deep=asked.deep)
    _tell(resource, found)
    if not asked.force:
        _refuse(resource, found)
    written = carry_out(found.rewriting, etcd, prefix, Consent(asked.dry_run, asked.yes, None))
    if asked.as_json:
        print_json(written)


def _tell(resource: Resource, found: Rollback) -> None:
    if found.along:
        say(f"{resource} refers to what is gone, and is written along: {_names(found.along)}", err=True)
    if found.differing:
        say(
            f"{resource} refers to what isn't as it was then, and is left alone: {_names(found.differing)}; "
            "--with-references rolls it back as well",
            err=True,
        )


def _refuse(resource: Resource, found: Rollback) -> None:
    """Raise if something would dangle."""
    if found.dangling:
        raise Refused(
            f"{resource} referred to {_names(found.dangling)}, which neither the archive had then nor etcd "
            "has now: nothing was written",
            hint="--force writes it all the same",
        )
    if found.orphans:
        raise Refused(
            f"{resource} wasn't there then, and {_names(found.orphans)} refer to it now: nothing was written",
            hint="roll these back first; or --force",
        )


def _names(resources: Sequence[Resource]) -> str:
    return ", ".join(map(str, resources))
