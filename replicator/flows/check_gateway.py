"""Try what an agent needs to turn its gateway, before there is an outage; nothing is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replicator.apisix import render
from replicator.core.plan import Latest
from replicator.errors import TargetNotRestorable, UsageError
from replicator.flows.check import attempted
from replicator.flows.open_archive import read_archive
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicator.apisix import Options
    from replicator.flows.check import Finding
    from replicator.flows.switch import Switch
    from replicator.ports import Home, ObjectStore

_TRIAL = "check"
_NAMED = 5


def check_gateway(
    home: Home, switch: Callable[[], Switch], store: ObjectStore, options: Options
) -> Iterator[Finding]:
    """Yield what was found, as it is found.

    Args:
        home: The agent's.
        switch: Gives what would turn the gateway; it reads the agent's journal.
        store: Where the archive is.
        options: What is known of the gateway, its keyring first of all.
    """
    yield attempted("home", lambda: _home(home))
    yield attempted("gateway", lambda: _gateway(switch()))
    yield attempted("keyring", lambda: _keyring(store, options))


def _home(home: Home) -> str:
    home.write(_TRIAL, b"")
    home.remove(_TRIAL)
    return "can be written to"


def _gateway(switch: Switch) -> str:
    switch.rehearse()
    return f"config.yaml can be turned to the file and back; it is on {switch.journal.mode} now"


def _keyring(store: ObjectStore, options: Options) -> str:
    """With a wrong key a consumer could log in with what is encrypted, and not with the key itself."""
    if read_archive(store) is None:
        return "nothing to try it on: there is no archive yet"
    try:
        restored = restore(store, Latest())
    except TargetNotRestorable:
        return "nothing to try it on: nothing is recorded yet"
    prefix = restored.archive.prefix.rstrip("/").encode()
    items = ((key, record.value) for key, record in restored.state.items())
    unopened = render(items, replace(options, prefix=prefix), "yaml").report.unopened
    if unopened:
        raise UsageError(
            f"no key of the keyring opens what looks encrypted in {', '.join(unopened[:_NAMED])}"
            + (f" and {len(unopened) - _NAMED} more" if len(unopened) > _NAMED else ""),
            hint="set apisix.keyring to the gateway's data_encryption.keyring; a plain text may look so too",
        )
    return "opens all that looks encrypted in the archive's newest state"
