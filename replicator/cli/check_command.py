"""``replicator check``: configuration, etcd and store, tried for real."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING
from uuid import uuid4

import click

from replicator import wiring
from replicator.cli.gateway import Given
from replicator.cli.gateway import options as gateway_options
from replicator.cli.options import archive_option, json_option, print_json
from replicator.cli.stdout import answering
from replicator.cli.words import printable, say
from replicator.flows.check import Place, check
from replicator.flows.check_gateway import check_gateway
from replicator.telemetry.log import configure
from replicator.wiring_agent import agent_home, gateway_switch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl, Settings
    from replicator.flows.check import Finding
    from replicator.ports import ObjectStore


@click.command("check")
@archive_option
@json_option
@click.pass_obj
def command(shared: Shared, *, archive: ArchiveUrl | None, as_json: bool) -> int:
    """Try all that `run` needs: read etcd; write, swap, read and delete an object in the store; the spool.

    Where `agent.reload` is set, also what `agent` needs: its home, the gateway's config.yaml, the keyring.
    The exit code is that of the first thing that failed.
    """
    settings = shared.settings(archive)
    is_local = not wiring.archive_of(settings).bucket
    place = Place(wiring.store(settings), is_local, wiring.spool_trial(settings))
    found = check(wiring.source(settings.etcd), settings.etcd.prefix, place, uuid4().hex)
    findings = []
    for finding in chain(found, _gateway(settings, place.store)):
        findings.append(finding)
        if not as_json:
            with answering():
                _tell(finding)
    if as_json:
        print_json([_document(finding) for finding in findings])
    failures = [finding.failure for finding in findings if finding.failure]
    return failures[0].exit_code if failures else 0


def _gateway(settings: Settings, store: ObjectStore) -> Iterator[Finding]:
    if settings.agent.reload:
        home = agent_home(settings)
        switch = partial(gateway_switch, settings, home, configure("console", "error"))
        yield from check_gateway(home, switch, store, gateway_options(settings.apisix, Given()))


def _tell(finding: Finding) -> None:
    mark = click.style("ok  ", fg="green") if finding.failure is None else click.style("FAIL", fg="red")
    click.echo(f"{mark}  {finding.what:8} {printable(finding.said)}")
    if finding.failure is not None and finding.failure.hint:
        say(f"      {'try':8} {finding.failure.hint}")


def _document(finding: Finding) -> dict[str, object]:
    return {
        "what": finding.what,
        "ok": finding.failure is None,
        "said": finding.said,
        "hint": finding.failure.hint if finding.failure else "",
    }
