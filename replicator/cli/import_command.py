"""``replicator import``: the other way round, a standalone file into etcd."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replicator import wiring
from replicator.apisix.fields import document_of, is_same
from replicator.apisix.standalone import read_standalone
from replicator.cli.gateway import Given
from replicator.cli.gateway import options as gateway_options
from replicator.cli.history_command import selection_of
from replicator.cli.options import ENDPOINTS, json_option, print_json
from replicator.cli.rewriting import Consent, carry_out, etcd_of
from replicator.errors import Refused, UsageError
from replicator.flows import keyspace
from replicator.flows.rewrite import dangling_after, plan_rewriting

if TYPE_CHECKING:
    from replicator.cli.app import Shared
    from replicator.config.values import Endpoint
    from replicator.core.state import State

_TIMES = ("create_time", "update_time")


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of one call."""

    file: Path
    to_etcd: tuple[Endpoint, ...] | None
    only: str | None
    replace_all: bool
    max_deletes: int
    keyring: Path | None
    force: bool
    dry_run: bool
    yes: bool
    as_json: bool


@click.command("import")
@click.option(
    "-f", "--file", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The apisix.yaml."
)
@click.option(
    "--to-etcd",
    type=ENDPOINTS,
    metavar="ENDPOINTS",
    help="Into the etcd with these endpoints (comma-separated), instead of that of the settings.",
)
@click.option("--only", metavar="TYPE[/ID]", help="Only this resource, or those of this type.")
@click.option(
    "--replace",
    "replace_all",
    is_flag=True,
    help="Delete what etcd has and the file hasn't; see --max-deletes.",
)
@click.option(
    "--max-deletes",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="How many keys --replace may delete.",
)
@click.option(
    "--keyring",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The gateway's data_encryption.keyring or config.yaml: with its first key fields are encrypted.",
)
@click.option("--force", is_flag=True, help="Also if something then refers to what isn't there.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and write nothing.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
@click.pass_obj
def command(shared: Shared, /, **words: Any) -> None:
    """Write a standalone file into etcd as the Admin API would: the way back to a control plane.

    The plan is shown first. What somebody else changes meanwhile is never overwritten: it stops then.

    \b
      replicator -c replicator.yaml import -f apisix.yaml --dry-run
      replicator -c replicator.yaml import -f apisix.yaml --keyring config.yaml --yes
    """  # noqa: D301 (click wants the character itself)
    asked = Asked(**words)
    settings = shared.settings()
    prefix = settings.etcd.prefix
    options = gateway_options(settings.apisix, Given(None, asked.keyring, None))
    options = replace(options, prefix=prefix.rstrip("/").encode())
    found = read_standalone(_read(asked.file), options, int(wiring.SystemClock().now().timestamp()))
    chosen = selection_of(asked.only, prefix)
    wanted = {key: value for key, value in found.items() if chosen.holds(key)}
    etcd = etcd_of(settings, asked.to_etcd, prefix)
    live = keyspace.live(etcd).state
    wanted = {key: _as_it_is(live, key, value) for key, value in wanted.items()}
    rewriting = plan_rewriting(live, wanted, chosen, prefix, keeps_others=not asked.replace_all)
    pairs = dangling_after(rewriting, live, prefix)
    if pairs and not asked.force:
        told = ", ".join(f"{one} to {other}" for one, other in pairs[:5])
        raise Refused(
            f"resources would refer to what isn't there ({told}): nothing was written",
            hint="import what they refer to as well; or --force",
        )
    consent = Consent(asked.dry_run, asked.yes, asked.max_deletes)
    written = carry_out(rewriting, etcd, prefix, consent)
    if asked.as_json:
        print_json(written)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"can't read {path}: {error.strerror}",
            hint="name a file that is there, and that this user may read",
        ) from None


def _as_it_is(live: State, key: bytes, value: bytes) -> bytes:
    """Return the value that etcd has at *key* if it says what *value* says; else *value*."""
    record = live.get(key)
    if record is None:
        return value
    now, then = document_of(value), document_of(record.value)
    if isinstance(now, dict) and isinstance(then, dict):
        times = {name: then[name] for name in _TIMES if name in then}
        if is_same({**now, **times}, then):
            return record.value
    return value
