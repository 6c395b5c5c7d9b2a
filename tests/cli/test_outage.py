"""A gateway outlives its control plane: a real etcd, replicator and agent, and the stand-in for APISIX."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from outage import Outage, asking, written
from servers.command import running, until
from servers.gateway import gateway_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.command import Recorder
    from servers.etcd import Etcd
    from servers.gateway import Knob


@pytest.fixture
def outage(
    tmp_path: Path, etcd_factory: Callable[..., Etcd], settings: Callable[..., Path]
) -> Iterator[Outage]:
    """Return a gateway that serves one route from etcd, with a replicator at work."""
    etcd = etcd_factory()
    with gateway_in(tmp_path / "gateway") as gateway:
        (gateway.conf / "config.yaml").write_bytes(gateway.config(etcd.endpoint))
        outage = Outage(etcd, gateway, written(settings, tmp_path, etcd, gateway))
        outage.put_route("1", "/one")
        gateway.start()
        with running(tmp_path / "run.log", "-c", outage.settings) as recorder:
            recorder.tells("watch.started")
            yield outage


@contextmanager
def agent(outage: Outage, tmp_path: Path) -> Iterator[Recorder]:
    """Run an agent, until it has written its file at least."""
    with running(tmp_path / "agent.log", "-c", outage.settings, command="agent") as at_work:
        at_work.tells("agent.started")
        until((outage.gateway.conf / "apisix.yaml").exists, "the file is there")
        yield at_work


def turns_to(outage: Outage, what: str) -> None:
    """Wait until the agent says that the gateway runs on *what*, and the gateway's new workers do."""
    provider = {"etcd": "etcd", "standalone": "yaml"}[what]
    until(lambda: outage.runs_on() == what, f"the agent has turned it to {what}: {outage.status()}")
    until(lambda: outage.gateway.held()["provider"] == provider, f"the gateway runs on {provider}")


@pytest.mark.parametrize("knob", ["reload-fails", "reload-hangs", "never-ready"])
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
