"""A gateway and an agent's home in memory, where the agent may be killed at, or fail with, any effect."""

from __future__ import annotations

from functools import partial
from typing import Any

from archives import quiet_log

from replicator.adapters.clock import SystemClock
from replicator.errors import GatewayFailed
from replicator.flows.switch import Switch

ORIGINAL = b"# the original\n"
STANDALONE = b"standalone: # the original\n"
NOTHING = b"404 Route Not Found"


class Killed(BaseException):
    """The agent's process is gone."""


class Machine:
    """A gateway and a home, both on one disk; effects are counted, and may kill the agent or fail.

    Attributes:
        config: What lies in config.yaml.
        running: What the gateway runs with.
        files: What lies in the home.
        reloads: How often the gateway was reloaded.
        die_at: The agent dies before (even) or after (odd) the effect of half this number.
        is_etcd_well: Whether etcd would give the gateway its configuration.
        failing: What fails: ``replace``, ``reload``, ``ready``.
    """

    def __init__(self) -> None:
        self.config = self.running = ORIGINAL
        self.files: dict[str, bytes] = {}
        self.reloads = self.effects = 0
        self.die_at: int | None = None
        self.failing: set[str] = set()
        self.is_ending, self.is_etcd_well = False, True

    def _do(self, what: str, effect: Any) -> None:
        place = self.effects
        self.effects += 1
        if self.die_at == 2 * place:
            raise Killed
        if what in self.failing:
            raise GatewayFailed(f"{what} fails")
        effect()
        if self.die_at == 2 * place + 1:
            raise Killed

    def config_now(self) -> bytes:
        """Return what lies in config.yaml."""
        return self.config

    def replace_config(self, body: bytes) -> None:
        """Do as `Gateway` does."""
        self._do("replace", lambda: setattr(self, "config", body))

    def reload(self) -> None:
        """Do as `Gateway` does."""

        def effect() -> None:
            is_served = self.is_etcd_well or self.config == STANDALONE
            self.running = self.config if is_served else NOTHING
            self.reloads += 1

        self._do("reload", effect)

    def await_ready(self) -> bool:
        """Do as `Gateway` does."""
        self._do("ready", lambda: None)
        return not self.is_ending

    def trial(self) -> None:
        """Do as `Gateway` does."""

    def read(self, name: str) -> bytes | None:
        """Do as `Home` does."""
        return self.files.get(name)

    def write(self, name: str, body: bytes) -> None:
        """Do as `Home` does."""
        self._do("home", lambda: self.files.__setitem__(name, body))

    def remove(self, name: str) -> None:
        """Do as `Home` does."""
        self.files.pop(name, None)


class AsGateway:
    """The gateway's side of *machine*."""

    def __init__(self, machine: Machine) -> None:
        self.config = machine.config_now
        self.replace_config, self.reload = machine.replace_config, machine.reload
        self.await_ready, self.trial = machine.await_ready, machine.trial


def switch_of(machine: Machine) -> Switch:
    log, _ = quiet_log()
    gateway: Any = AsGateway(machine)
    made = partial(bytes.__add__, b"standalone: ")
    return Switch(gateway, machine, made, lambda: machine.is_etcd_well, SystemClock(), log)
