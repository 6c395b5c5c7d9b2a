"""Put real adapters behind the ports of the agent."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from replicator.adapters.agent_home import AgentHome
from replicator.adapters.clock import SystemClock
from replicator.adapters.gateway import GatewayOptions, LocalGateway, ResourceFile
from replicator.core.failover import FailoverRules
from replicator.core.wipe_guard import WipeRule
from replicator.errors import UsageError
from replicator.flows.agent import Agent
from replicator.flows.copy import Copy, CopyRules
from replicator.flows.health import Health
from replicator.flows.instance import config_file, latest_files
from replicator.flows.outlook import AgentRules, Parts
from replicator.flows.shared_config import SharedConfig
from replicator.flows.switch import Switch
from replicator.flows.tail import Tail
from replicator.telemetry.metrics import Silent
from replicator.wiring import admin_api, source, store
from replicator.wiring_instance import instance_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from replicator.apisix import Options
    from replicator.config import Settings
    from replicator.errors import ArchiveDamaged
    from replicator.ports import Home, Target
    from replicator.telemetry.metrics import Meter


def agent_home(settings: Settings) -> AgentHome:
    """Return the agent's own folder; nothing is made yet."""
    return AgentHome(Path(settings.agent.home))


def shared_config(
    settings: Settings,
    options_of: Callable[[bytes | None], Options],
    home: Home,
    log: FilteringBoundLogger,
) -> SharedConfig:
    """Return what the gateway must share with its control plane, as the instance archive has it.

    Args:
        settings: They; without `instance.archive` nothing is shared.
        options_of: Says what is known of the gateway that has such a config.yaml; of None, without one.
        home: Where the newest one is kept.
        log: Hears of what can't be used.
    """

    def fetch() -> bytes | None:
        recorded = instance_store(settings)
        return None if recorded is None else config_file(latest_files(recorded))

    return SharedConfig(home, fetch, options_of, log)


def resource_copy(
    settings: Settings,
    shared: SharedConfig,
    home: Home,
    log: FilteringBoundLogger,
    meter: Meter | None = None,
) -> Copy:
    """Return what keeps the gateway's standalone file fresh, or pushes to the gateway.

    Raises:
        UsageError: No archive is named.
    """
    agent = settings.agent
    rules = CopyRules(
        options=shared.options,
        prefix=settings.etcd.prefix,
        form="api" if agent.push else _provider(settings),
        guard=WipeRule(agent.wipe_guard, agent.wipe_guard_after),
    )
    clock = SystemClock()

    def pass_over(damage: ArchiveDamaged) -> None:
        log.error("snapshot.damaged", cause=str(damage))

    return Copy(
        Tail(store(settings, meter=meter), clock, pass_over), _target(settings), home, rules, clock, log
    )


def _target(settings: Settings) -> Target:
    """Return where the gateway has its resources from."""
    agent = settings.agent
    return admin_api(agent.push, agent.push_key) if agent.push else resource_file(settings)


def _provider(settings: Settings) -> Literal["json", "yaml"]:
    return "json" if settings.agent.resource_file.endswith(".json") else "yaml"


def resource_file(settings: Settings) -> ResourceFile:
    """Return the gateway's standalone file."""
    return ResourceFile(Path(settings.agent.resource_file))


def health(settings: Settings) -> Health:
    """Return what probes the gateway's etcd."""
    return Health(source(settings.etcd), settings.agent.probe_interval.total_seconds(), SystemClock())


def gateway_switch(
    settings: Settings,
    shared: SharedConfig,
    probes: Health,
    home: Home,
    log: FilteringBoundLogger,
    is_ending: Callable[[], bool] = lambda: False,
) -> Switch:
    """Return what turns the gateway that *settings* describe.

    Args:
        settings: They.
        shared: What it must share with its control plane.
        probes: They tell whether etcd would serve it.
        home: Where its journal is.
        log: Hears of its steps.
        is_ending: Tells that nobody wants to wait for the gateway any more.
    """
    agent = settings.agent
    options = GatewayOptions(
        config_file=Path(agent.config_file),
        reload=agent.reload,
        reload_timeout_s=agent.reload_timeout.total_seconds(),
        ready=agent.ready or "",
        ready_timeout_s=agent.ready_timeout.total_seconds(),
    )
    provider = _provider(settings)
    return Switch(
        LocalGateway(options, is_ending),
        home,
        lambda own: shared.standalone(own, provider),
        probes.is_well,
        SystemClock(),
        log,
    )


def agent(
    settings: Settings,
    shared: SharedConfig,
    home: Home,
    log: FilteringBoundLogger,
    meter: Meter | None = None,
) -> Agent:
    """Return the agent that *settings* describe.

    Raises:
        UsageError: No archive is named, or the home can't be read; or the agent is told to push and to
            switch.
    """
    chosen = settings.agent
    if chosen.push and chosen.reload:
        raise UsageError(
            "agent.push and agent.reload don't go together: a gateway that is pushed to follows no etcd",
            hint="leave out agent.reload; or agent.push, for a gateway that runs on etcd",
        )
    rules = AgentRules(
        failover=FailoverRules(
            chosen.failover_after.total_seconds(),
            chosen.failback_after.total_seconds(),
            chosen.hold_down.total_seconds(),
        ),
        follow_interval_s=chosen.follow_interval.total_seconds(),
        probe_interval_s=chosen.probe_interval.total_seconds(),
        max_age=chosen.max_age,
        may_be_stale=chosen.when_stale == "serve",
    )
    clock = SystemClock()
    ending = threading.Event()
    probes = health(settings)
    parts = Parts(
        resource_copy(settings, shared, home, log, meter),
        gateway_switch(settings, shared, probes, home, log, ending.is_set) if chosen.reload else None,
        probes,
        shared=shared if settings.instance.archive is not None else None,
        meter=meter or Silent(),
    )
    return Agent(parts, home, rules, clock, log, ending=ending)
