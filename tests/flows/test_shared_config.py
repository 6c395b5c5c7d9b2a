"""What control and data plane share: kept for an outage, and never a reason not to serve."""

from __future__ import annotations

import pytest
import yaml
from archives import quiet_log
from gateway_machine import Machine

from replicator.apisix import Options
from replicator.errors import StoreUnavailable, UsageError
from replicator.flows.shared_config import SHARED, SharedConfig

FIRST, SECOND = b"1" * 16, b"2" * 16


def known(config: bytes | None) -> Options:
    """Return what is known of a gateway whose config.yaml is its key alone."""
    if config == b"bad":
        raise UsageError("the config.yaml of the instance archive is no YAML")
    return Options(keyring=() if config is None else (config,))


def test_it_is_kept_for_when_the_store_is_away() -> None:
    home, (log, said), newest = Machine(), quiet_log(), [b"plugins: [cors]\n"]

    def fetch() -> bytes | None:
        if not newest:
            raise StoreUnavailable("the store is away")
        return newest[0]

    shared = SharedConfig(home, fetch, known, log)
    shared.step()
    newest.clear()
    for _ in range(3):
        shared.step()
    again = SharedConfig(home, fetch, known, log)
    assert yaml.safe_load(again.standalone(b"", "yaml"))["plugins"] == ["cors"]
    assert [entry["event"] for entry in said.entries] == ["agent.unshared"]


@pytest.mark.parametrize("body", [b"plugins: [", b"apisix: 5\n"])
def test_what_can_not_be_used_is_told_and_left_out(body: bytes) -> None:
    home, (log, said) = Machine(), quiet_log()
    shared = SharedConfig(home, lambda: body, known, log)
    shared.step()
    assert yaml.safe_load(shared.standalone(b"x: 1\n", "json"))["deployment"]["role"] == "data_plane"
    shared.standalone(b"x: 1\n", "json")
    assert [entry["event"] for entry in said.entries] == ["agent.unshared"]
    with pytest.raises(UsageError, match="no YAML"):
        shared.standalone(b"x: [", "json")


def test_where_nobody_has_recorded_one_the_node_has_its_own() -> None:
    home, (log, said) = Machine(), quiet_log()
    shared = SharedConfig(home, lambda: None, known, log)
    shared.step()
    assert home.read(SHARED) is None
    assert shared.standalone(b"x: 1\n", "yaml").endswith(b"x: 1\n")
    assert said.entries == []


def test_what_is_known_of_the_gateway_follows_what_is_recorded() -> None:
    home, (log, said), newest = Machine(), quiet_log(), [FIRST]
    shared = SharedConfig(home, lambda: newest[-1], known, log)
    assert shared.options().keyring == (FIRST,)
    newest.append(SECOND)
    assert shared.options().keyring == (FIRST,)
    shared.step()
    assert shared.options().keyring == (SECOND,)
    newest.append(b"bad")
    shared.step()
    assert [shared.options().keyring for _ in range(3)] == [(SECOND,)] * 3
    assert [entry["event"] for entry in said.entries] == ["agent.unshared"]


def test_without_a_store_a_start_knows_what_was_recorded_before() -> None:
    def away() -> bytes | None:
        raise StoreUnavailable("the store is away")

    home, (log, _) = Machine(), quiet_log()
    home.write(SHARED, FIRST)
    assert SharedConfig(home, away, known, log).options().keyring == (FIRST,)
    assert SharedConfig(Machine(), away, known, log).options().keyring == ()
