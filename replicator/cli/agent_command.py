"""``replicator agent``: keeps a gateway serving while its control plane is gone."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import click
import msgspec

from replicator import wiring
from replicator.cli.agent_words import words
from replicator.cli.gateway import Given
from replicator.cli.gateway import options as gateway_options
from replicator.cli.options import json_option, print_json
from replicator.cli.stdout import answering
from replicator.cli.words import say
from replicator.errors import (
    ArchiveDamaged,
    GatewayFailed,
    Refused,
    ReplicatorError,
    TargetNotRestorable,
    UsageError,
    WriterFenced,
)
from replicator.flows.agent_told import ANSWER, REQUEST, STATUS, AgentTold, Reply, Request
from replicator.flows.once import prepare
from replicator.telemetry.log import configure
from replicator.wiring_agent import agent as wired
from replicator.wiring_agent import (
    agent_home,
    gateway_switch,
    health,
    resource_copy,
    resource_file,
    shared_config,
)
from replicator.wiring_telemetry import metrics

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from replicator.adapters.agent_home import AgentHome
    from replicator.cli.app import Shared
    from replicator.config import Settings
    from replicator.flows.agent import Agent
    from replicator.flows.agent_told import Command
    from replicator.flows.shared_config import SharedConfig
    from replicator.telemetry.metrics import Meter

_POLL_S = 0.1


@click.group("agent", invoke_without_command=True, subcommand_metavar="[COMMAND]")
@click.option("--once", is_flag=True, help="Prepare a gateway that is about to start, and end.")
@click.pass_context
def command(ctx: click.Context, *, once: bool) -> int | None:
    """Keep the gateway on this machine serving while its control plane is gone.

    Without a command it runs: it keeps `agent.resource_file` fresh from the archive, watches etcd, and turns
    the gateway to the file, and back.
    """
    if once:
        if ctx.invoked_subcommand is not None:
            raise UsageError("--once goes without a command", hint="replicator agent --once")
        return _once(ctx.obj)
    return ctx.invoke(run) if ctx.invoked_subcommand is None else None


@command.command("run")
@click.pass_obj
def run(shared: Shared) -> int:
    """Run until stopped. The gateway goes on with what it has."""
    log = configure(shared.log_format, shared.log_level)
    settings = shared.settings()
    home = agent_home(settings)
    home.lock()
    agent = _agent(settings, home, log, metrics([settings], log)(settings))
    signals: list[int] = []

    def end(number: int, _frame: object) -> None:
        if signals:  # the second one means: now
            os._exit(130)
        signals.append(number)
        agent.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    agent.run()
    return 130 if signals == [signal.SIGINT] else 0


def _once(shared: Shared) -> int:
    log = configure(shared.log_format, shared.log_level)
    settings = shared.settings()
    if settings.agent.push:
        raise UsageError(
            "--once prepares a gateway that reads a file; this one is pushed to once it runs",
            hint="start the gateway, and replicator agent beside it",
        )
    home = agent_home(settings)
    home.lock()
    known = shared_of(settings, home, log)
    copy = resource_copy(settings, known, home, log)
    switch = gateway_switch(settings, known, health(settings), home, log)
    try:
        say(prepare(wiring.source(settings.etcd), copy, switch, resource_file(settings)), err=True)
    finally:
        home.unlock()
    return 0


@command.command("status")
@json_option
@click.pass_obj
def status(shared: Shared, *, as_json: bool) -> int:
    """Tell what the agent does, or what the last one has left; exits with 3 if something must be mended."""
    told = _told(shared.settings())
    with answering():
        if as_json:
            print_json(told)
        else:
            for line in words(told):
                say(line)
    needs_mending = told.trouble or told.is_stale or told.copy.failure or told.copy.held or told.copy.unopened
    return TargetNotRestorable.exit_code if needs_mending else 0


_force_option = click.option("--force", is_flag=True, help="Even if it can't be meant.")


@command.command("failover")
@_force_option
@click.pass_obj
def failover(shared: Shared, *, force: bool) -> None:
    """Turn the gateway to its file, until `failback`."""
    _ask(shared, "failover", is_forced=force)


@command.command("failback")
@_force_option
@click.pass_obj
def failback(shared: Shared, *, force: bool) -> None:
    """Turn the gateway back to etcd; --force: whatever etcd holds, over a config.yaml that was changed."""
    _ask(shared, "failback", is_forced=force)


@command.command("pause")
@click.pass_obj
def pause(shared: Shared) -> None:
    """Switch nothing any more but by hand. The file is kept fresh all the same."""
    _ask(shared, "pause")


@command.command("resume")
@click.pass_obj
def resume(shared: Shared) -> None:
    """Switch again."""
    _ask(shared, "resume")


@command.command("confirm")
@click.pass_obj
def confirm(shared: Shared) -> None:
    """Let the change through that is held back because it deletes so much."""
    _ask(shared, "confirm")


def _agent(
    settings: Settings, home: AgentHome, log: FilteringBoundLogger, meter: Meter | None = None
) -> Agent:
    return wired(settings, shared_of(settings, home, log), home, log, meter)


def shared_of(settings: Settings, home: AgentHome, log: FilteringBoundLogger) -> SharedConfig:
    """Return what the gateway of *settings* must share with its control plane."""
    return shared_config(settings, partial(gateway_options, settings.apisix, Given()), home, log)


def _told(settings: Settings) -> AgentTold:
    body = agent_home(settings).read(STATUS)
    if body is None:
        raise UsageError(
            f"no agent has run here: {settings.agent.home} has no {STATUS}", hint="replicator agent run"
        )
    try:
        told = msgspec.json.decode(body, type=AgentTold)
    except msgspec.DecodeError:
        raise UsageError(f"{settings.agent.home}/{STATUS} is damaged", hint="replicator agent run") from None
    return told if told.pid and _is_alive(told.pid) else msgspec.structs.replace(told, pid=0)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _ask(shared: Shared, what: Command, *, is_forced: bool = False) -> None:
    """Let the running agent do it; do it here if none runs."""
    settings = shared.settings()
    home = agent_home(settings)
    try:
        home.lock()
    except WriterFenced:
        reply = _answer_of(settings, home, what, is_forced=is_forced)
        if reply.exit_code:
            raise _as_error(reply) from None
        say(reply.said)
        return
    try:
        agent = _agent(settings, home, configure(shared.log_format, "error"))
        say(agent.alone(what, is_forced=is_forced))
    finally:
        home.unlock()


def _answer_of(settings: Settings, home: AgentHome, what: Command, *, is_forced: bool) -> Reply:
    chosen = settings.agent
    patience_s = 15 + 2 * (chosen.reload_timeout + chosen.ready_timeout).total_seconds()
    request = Request(id=uuid4().hex, command=what, is_forced=is_forced)
    home.write(REQUEST, msgspec.json.encode(request))
    clock = wiring.SystemClock()
    deadline = clock.monotonic() + patience_s
    while clock.monotonic() < deadline:
        body = home.read(ANSWER)
        if body is not None:
            reply = msgspec.json.decode(body, type=Reply)
            if reply.id == request.id:
                home.remove(ANSWER)
                return reply
        clock.sleep(_POLL_S)
    home.remove(REQUEST)
    raise GatewayFailed(
        f"the agent hasn't answered within {patience_s:.0f} s", hint="replicator agent status; and its log"
    )


def _as_error(reply: Reply) -> ReplicatorError:
    kinds = {kind.exit_code: kind for kind in (UsageError, ArchiveDamaged, GatewayFailed, Refused)}
    return kinds.get(reply.exit_code, GatewayFailed)(reply.said, hint=reply.hint)
