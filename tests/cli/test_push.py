"""A gateway in API-driven standalone mode: restored once by hand, and kept fresh by an agent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from archives import Scribe
from etcd_model import EtcdModel
from generators import START, stamped
from servers.admin_api import StandaloneGateway, standalone_gateway
from servers.command import called, running, until

from replicator.adapters.directory import DirectoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def gateway() -> Iterator[StandaloneGateway]:
    """Return a gateway that was just started."""
    with standalone_gateway("the-admin-key") as running_gateway:
        yield running_gateway


class History:
    """An archive in a directory: one route to begin with, another one with each `grow`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder}/archive"
        self.key_file = folder / "admin.key"
        self.key_file.write_text("the-admin-key\n")
        self._etcd = EtcdModel()
        self._etcd.put(b"/apisix/routes/1", b'{"id":"1","uri":"/${{HOME}}"}')
        self._scribe = Scribe(DirectoryStore(folder / "archive"))  # type: ignore[arg-type]
        self._scribe.open(self._etcd, START)

    def grow(self) -> None:
        """Record another route."""
        number = self._etcd.head
        self._etcd.put(b"/apisix/routes/%d" % number, b'{"uri":"/%d"}' % number)
        self._scribe.append(stamped(self._etcd.history)[-1:])

    def settings(self, **agent: Any) -> Path:
        """Return the settings of an agent beside *gateway*."""
        chosen = {"home": f"{self.folder}/home", "follow_interval": "100ms", "push_key": "the-admin-key"}
        path = self.folder / "replicator.yaml"
        etcd = {"endpoints": ["http://127.0.0.1:1"]}
        path.write_text(json.dumps({"archive": self.url, "etcd": etcd, "agent": chosen | agent}))
        return path


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Return an archive."""
    return History(tmp_path)


def routes(gateway: StandaloneGateway) -> list[str]:
    return sorted(item["id"] for item in gateway.items("routes"))


def test_restore_pushes_a_moment_and_a_dry_run_does_not(gateway: StandaloneGateway, history: History) -> None:
    arguments = ["restore", "--latest", "--archive", history.url]
    pushing = [*arguments, "--push", gateway.url, "--push-key-file", history.key_file]
    dry = called(*pushing, "--dry-run")
    assert (dry.code, routes(gateway)) == (0, []), dry.err
    assert "dry run" in dry.err
    outcome = called(*pushing, "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["pushed"]["had"] == ""
    assert [item["uri"] for item in gateway.items("routes")] == ["/${{HOME}}"]
    assert "has that already" in called(*pushing).err
    history.grow()
    assert called(*pushing).code == 0
    assert routes(gateway) == ["1", "2"]


def test_what_a_push_cannot_do_is_told(gateway: StandaloneGateway, history: History, tmp_path: Path) -> None:
    arguments = ["restore", "--latest", "--archive", history.url]
    outcome = called(*arguments, "--push", gateway.url)
    assert (outcome.code, "answered 401" in outcome.err) == (5, True), outcome.err
    outcome = called(*arguments, "--push", "http://127.0.0.1:1")
    assert (outcome.code, "doesn't answer" in outcome.err) == (5, True), outcome.err
    (tmp_path / "empty").touch()
    for wrong in (
        ["--dry-run"],
        ["--push", gateway.url, "-o", "file"],
        ["--push", gateway.url, "--format", "json"],
        ["--push", "ftp://here"],
        ["--push", gateway.url, "--push-key-file", tmp_path / "empty"],
        ["--push", gateway.url, "--push-key-file", tmp_path / "nowhere"],
    ):
        outcome = called(*arguments, *wrong)
        assert outcome.code == 2, (wrong, outcome.err)
        assert "try:" in outcome.err
    assert routes(gateway) == []


def test_an_agent_keeps_a_gateway_fresh_and_gives_it_again_what_it_has_lost(
    gateway: StandaloneGateway, history: History
) -> None:
    settings, log = history.settings(push=gateway.url), history.folder / "agent.log"
    with running(log, "-c", settings, command="agent") as agent:
        until(lambda: routes(gateway) == ["1"], "the first state")
        history.grow()
        until(lambda: routes(gateway) == ["1", "2"], "the second state")
        gateway.restart()
        until(lambda: routes(gateway) == ["1", "2"], "what it had")
        agent.tells("copy.written", 3)
    (history.folder / "archive").rename(history.folder / "away")
    gateway.restart()
    with running(log, "-c", settings, command="agent"):
        until(lambda: routes(gateway) == ["1", "2"], "what it had, from an agent that reaches no archive")
    assert b"the-admin-key" not in log.read_bytes()
    assert oct((history.folder / "home/pushed.json").stat().st_mode)[-3:] == "600"


def test_an_agent_that_shall_push_and_switch_is_refused(gateway: StandaloneGateway, history: History) -> None:
    settings = history.settings(push=gateway.url, reload=["true"])
    outcome = called("-c", settings, "agent")
    assert (outcome.code, "agent.push and agent.reload" in outcome.err) == (2, True), outcome.err
    outcome = called("-c", settings, "agent", "--once")
    assert (outcome.code, "--once" in outcome.err) == (2, True), outcome.err
