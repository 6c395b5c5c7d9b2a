"""A gateway outlives its control plane: a real etcd, replicator and agent, and the stand-in for APISIX."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from outages.scripted import Outage, asking
from servers.command import called, running, until
from servers.etcd_json import EtcdJson
from servers.gateway import GatewayDied, gateway_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.command import Recorder
    from servers.etcd import Etcd
    from servers.gateway import Knob


@pytest.fixture
def outage(tmp_path: Path, etcd_factory: Callable[..., Etcd]) -> Iterator[Outage]:
    """Return a gateway that serves one route from etcd, with a replicator at work."""
    etcd = etcd_factory()
    with gateway_in(tmp_path / "gateway") as gateway:
        (gateway.conf / "config.yaml").write_bytes(gateway.config(etcd.endpoint))
        outage = Outage(etcd, gateway, tmp_path)
        outage.put_route("1", "/one")
        gateway.start()
        with running(tmp_path / "run.log", "-c", outage.settings()) as recorder:
            recorder.tells("watch.started")
            yield outage


@contextmanager
def agent(outage: Outage, tmp_path: Path) -> Iterator[Recorder]:
    """Run an agent, until it has written its file at least."""
    with running(tmp_path / "agent.log", "-c", outage.settings(), command="agent") as at_work:
        at_work.tells("agent.started")
        until((outage.gateway.conf / "apisix.yaml").exists, "the file is there")
        yield at_work


def turns_to(outage: Outage, what: str) -> None:
    """Wait until the agent says that the gateway runs on *what*, and the gateway's new workers do."""
    provider = {"etcd": "etcd", "standalone": "yaml"}[what]
    until(lambda: outage.runs_on() == what, f"the agent has turned it to {what}: {outage.status()}")
    until(lambda: outage.gateway.held()["provider"] == provider, f"the gateway runs on {provider}")


@pytest.mark.parametrize("knob", ["reload-fails", "reload-hangs", "reload-is-lost", "never-ready"])
def test_what_fails_while_etcd_is_away_costs_no_request(outage: Outage, tmp_path: Path, knob: Knob) -> None:
    original = outage.config
    with agent(outage, tmp_path) as at_work, asking(outage.gateway, "/one"):
        outage.gateway.turn(knob)
        outage.etcd.kill()
        at_work.tells("switch.undone")
        assert outage.config == original
        outage.gateway.turn(knob, on=False)
        turns_to(outage, "standalone")
        outage.etcd.start()
        turns_to(outage, "etcd")
    assert outage.config == original


def test_an_agent_that_starts_in_an_outage_turns_the_gateway(outage: Outage, tmp_path: Path) -> None:
    outage.etcd.kill()
    with asking(outage.gateway, "/one"), agent(outage, tmp_path):
        turns_to(outage, "standalone")
        outage.etcd.start()
        turns_to(outage, "etcd")


def test_without_etcd_and_archive_a_restarted_gateway_serves_its_copy(outage: Outage, tmp_path: Path) -> None:
    with agent(outage, tmp_path), asking(outage.gateway, "/one"):
        (tmp_path / "archive").rename(tmp_path / "away")
        outage.etcd.kill()
        turns_to(outage, "standalone")
        outage.do("restart_node")
    with agent(outage, tmp_path) as next_one, asking(outage.gateway, "/one"):
        next_one.tells("copy.failed")
        assert outage.runs_on() == "standalone"


def test_a_new_node_starts_from_the_archive_alone(outage: Outage, tmp_path: Path) -> None:
    outage.etcd.kill()
    folder = tmp_path / "new"
    with gateway_in(folder) as fresh:
        (fresh.conf / "config.yaml").write_bytes(original := fresh.config(outage.etcd.endpoint))
        (folder / "archive").symlink_to(tmp_path / "archive")
        node = Outage(outage.etcd, fresh, folder)
        with pytest.raises(GatewayDied, match="all etcd nodes are unavailable"):
            fresh.start()
        assert called("-c", node.settings(), "agent", "--once").code == 0
        fresh.start()
        with agent(node, folder), asking(fresh, "/one"):
            outage.etcd.start()
            turns_to(node, "etcd")
        assert node.config == original


def test_a_control_plane_that_comes_back_empty_gets_no_gateway(outage: Outage, tmp_path: Path) -> None:
    original = outage.config
    with agent(outage, tmp_path), asking(outage.gateway, "/one"):
        outage.etcd.kill()
        turns_to(outage, "standalone")
        outage.etcd.wipe()
        outage.etcd.start()
        with EtcdJson(outage.etcd.endpoint) as client:
            client.put("/apisix/routes/", "init_dir")  # as APISIX does when it starts
        until(lambda: "holds no resource" in outage.status()["outlook"], "the new etcd isn't trusted")
        outage.put_route("1", "/one")
        turns_to(outage, "etcd")
    assert outage.config == original


def test_while_a_wipe_is_held_back_the_gateway_stays_on_its_file(outage: Outage, tmp_path: Path) -> None:
    for number in range(2, 6):
        outage.put_route(str(number), f"/{number}")
    until(lambda: outage.gateway.serves("/5"), "the gateway has them all")
    with agent(outage, tmp_path) as at_work:
        with asking(outage.gateway, "/one"):
            outage.etcd.kill()
            turns_to(outage, "standalone")
            assert called("-c", outage.settings(), "agent", "pause").code == 0
            outage.etcd.wipe()
            outage.etcd.start()
            outage.put_route("5", "/5")
            at_work.tells("copy.held_back")
            assert called("-c", outage.settings(), "agent", "resume").code == 0
            until(lambda: "held back" in outage.status()["outlook"], "its etcd isn't trusted")
        assert called("-c", outage.settings(), "agent", "confirm").code == 0
        turns_to(outage, "etcd")
    assert set(outage.gateway.held()["routes"]) == {"5"}
