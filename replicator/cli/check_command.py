"""``replicator check``: configuration, etcd and store, tried for real."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import click

from replicator import wiring
from replicator.cli.agent_command import shared_of
from replicator.cli.gateway import Given
from replicator.cli.gateway import options as gateway_options
from replicator.cli.options import archive_option, json_option, print_json
from replicator.cli.recorded_files import recorded_config
from replicator.cli.stdout import answering
from replicator.cli.words import printable, say
from replicator.errors import ReplicatorError
from replicator.flows.check import Place, check
from replicator.flows.check_gateway import check_gateway
from replicator.flows.check_instance import check_files, check_keyring
from replicator.telemetry.log import configure
from replicator.wiring_agent import agent_home, gateway_switch, health
from replicator.wiring_instance import file_source, instance_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.apisix import Options
    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl, Settings
    from replicator.flows.check import Finding


_CRITICAL, _UNKNOWN = 2, 3


@click.command("check")
@click.option(
    "--nagios", is_flag=True, help="One line, and the exit code, as Nagios' and Icinga's plugins have them."
)
@archive_option
@json_option
@click.pass_obj
def command(shared: Shared, *, archive: ArchiveUrl | None, nagios: bool, as_json: bool) -> int:
    """Try all that `run` needs: read etcd; write, swap, read and delete an object in the store; the spool.

    The same for the files of the instance configuration and their archive; and whether the gateway's keyring
    opens what the archive holds encrypted. Where `agent.reload` is set, also what `agent` needs: its home and
    the gateway's config.yaml.

    The exit code is that of the first thing that failed; with --nagios 0 (OK), 2 (CRITICAL), or 3 (UNKNOWN: a
    setting is wrong).
    """
    if nagios:
        return _nagios(shared, archive)
    settings = shared.settings(archive)
    findings = []
    for finding in _found(settings):
        findings.append(finding)
        if not as_json:
            with answering():
                _tell(finding)
    if as_json:
        print_json([_document(finding) for finding in findings])
    failures = [finding.failure for finding in findings if finding.failure]
    return failures[0].exit_code if failures else 0


def _nagios(shared: Shared, archive: ArchiveUrl | None) -> int:
    """Print one line with how long it took; return the code of Nagios' plugin interface."""
    started_s = wiring.SystemClock().monotonic()
    try:
        findings = list(_found(shared.settings(archive)))
    except ReplicatorError as error:
        with answering():
            say(f"REPLICATOR UNKNOWN - {error}")
        return _UNKNOWN
    failed = [finding for finding in findings if finding.failure]
    words = (
        "; ".join(f"{finding.what}: {finding.said}" for finding in failed) or f"{len(findings)} things tried"
    )
    took_s = wiring.SystemClock().monotonic() - started_s
    with answering():
        numbers = f"time={took_s:.3f}s failed={len(failed)};;0 tried={len(findings)}"
        # A bar parts the words from the numbers, and no word may have one.
        say(f"REPLICATOR {'CRITICAL' if failed else 'OK'} - {words.replace('|', '/')} | {numbers}")
    return _CRITICAL if failed else 0


def _found(settings: Settings) -> Iterator[Finding]:
    """Yield what was found, as it is found."""
    is_local = not wiring.archive_of(settings).bucket
    place = Place(wiring.store(settings), is_local, wiring.spool_trial(settings))
    is_readable = False
    for finding in check(wiring.source(settings.etcd), settings.etcd.prefix, place, uuid4().hex):
        is_readable |= finding.what == "archive" and finding.failure is None
        yield finding
    yield from _instance(settings)
    if settings.agent.reload:
        home = agent_home(settings)
        log = configure("console", "error")
        shared = shared_of(settings, home, log)
        switch = partial(gateway_switch, settings, shared, health(settings), home, log)
        yield from check_gateway(home, switch)
    if is_readable:
        yield from check_keyring(place.store, lambda: _options(settings))


def _instance(settings: Settings) -> Iterator[Finding]:
    """Yield what was found of the second archive, if there is to be one."""
    own = instance_settings(settings)
    if own is None:
        return
    source = file_source(own) if own.instance.files else None
    yield from check_files(source, lambda: wiring.store(own), uuid4().hex)


def _options(settings: Settings) -> Options:
    """Return what a restore would know of the gateway by now."""
    return gateway_options(settings.apisix, Given(), recorded_config(settings))


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
