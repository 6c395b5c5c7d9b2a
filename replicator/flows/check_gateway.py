"""Try what an agent needs to turn its gateway, before there is an outage; nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.flows.check import attempt_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicator.flows.check import Finding
    from replicator.flows.switch import Switch
    from replicator.ports import Home

_TRIAL = "check"


def check_gateway(home: Home, switch: Callable[[], Switch]) -> Iterator[Finding]:
    """Yield what was found, as it is found.

    Args:
        home: The agent's.
        switch: Gives what would turn the gateway; it reads the agent's journal.
    """
    yield attempt_to("home", lambda: _home(home))
    yield attempt_to("gateway", lambda: _gateway(switch()))


def _home(home: Home) -> str:
    home.write(_TRIAL, b"")
    home.remove(_TRIAL)
    return "can be written to"


def _gateway(switch: Switch) -> str:
    switch.rehearse()
    return f"config.yaml can be turned to the file and back; it is on {switch.journal.mode} now"
