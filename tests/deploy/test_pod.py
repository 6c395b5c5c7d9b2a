"""A gateway's pod in an outage: its scripts, a real etcd, a recorder, an agent, and the stand-in gateway."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from outages.scripted import Outage
from pods import SCRIPTS, Pod
from servers.command import called, running, until
from servers.etcd import ROOT
from servers.gateway import gateway_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.command import Recorder
    from servers.etcd import Etcd


@pytest.fixture
def outage(tmp_path: Path, etcd_factory: Callable[..., Etcd]) -> Iterator[Outage]:
    """Return a gateway that doesn't run yet, with one route in etcd."""
    etcd = etcd_factory()
    with gateway_in(tmp_path / "gateway") as gateway:
        reload = [str(SCRIPTS / "reload.sh"), str(gateway.conf), "20"]
        agent = {"reload": reload, "reload_timeout": "25s", "ready_timeout": "25s"}
        (gateway.conf / "config.yaml").write_bytes(gateway.config(etcd.endpoint))
        outage = Outage(etcd, gateway, tmp_path, agent)
        outage.put_route("1", "/one")
        yield outage


@pytest.fixture
def pod(outage: Outage) -> Pod:
    """Return its pod, in which the stand-in is the gateway."""
    pod = Pod(outage.gateway.home)
    variables = f"PYTHONPATH={ROOT}:{ROOT / 'tests'} STAND_IN_INTERVAL_S=0.05"
    server = f"{variables} exec {sys.executable} -m servers.gateway_server"
    pod.program("apisix", f'{server} "$1" "$POD"\n')
    pod.program("entrypoint", f'{server} run "$POD"\n')
    reload = 'case "$*" in *"-s reload") kill -HUP "$(cat "$POD/logs/nginx.pid")" ;; esac\n'
    pod.program("openresty", reload)
    return pod


@contextmanager
def recorder(outage: Outage, folder: Path) -> Iterator[Recorder]:
    """Record, from the moment on at which all that there is was recorded."""
    with running(folder / "run.log", "-c", outage.settings()) as at_work:
        at_work.tells("watch.started")
        yield at_work


def test_a_gateway_that_restarts_alone_in_an_outage_is_given_its_file(
    outage: Outage, pod: Pod, tmp_path: Path
) -> None:
    """Its container can't start on etcd, and the agent beside it hasn't switched yet."""
    original = outage.config
    with (
        recorder(outage, tmp_path),
        running(tmp_path / "agent.log", "-c", outage.settings(), command="agent") as agent,
    ):
        until((pod.conf / "apisix.yaml").exists, "the agent has its file")
        outage.etcd.kill()
        with pod.container("gateway.sh", "entrypoint", "docker-start"):
            until(lambda: outage.gateway.serves("/one"), "it serves from its file")
            agent.tells("switch.done")
            assert agent.events("switch.undone") == []
            outage.etcd.start()
            agent.tells("switch.done", 2)
            until(lambda: outage.gateway.held()["provider"] == "etcd", "it follows etcd again")
            assert outage.gateway.serves("/one")
    assert outage.config == original


def test_a_new_pod_starts_in_an_outage_and_is_set_up_again_with_its_node(
    outage: Outage, pod: Pod, tmp_path: Path
) -> None:
    image, config = tmp_path / "image", tmp_path / "config.yaml"
    image.mkdir()
    (image / "apisix.yaml").write_text("routes:\n  -\n#END\n")
    (pod.conf / "config.yaml").rename(config)
    with recorder(outage, tmp_path) as at_work:
        assert at_work.stop() == 0
    outage.etcd.kill()
    for expected in ("archive's newest state", "file of before"):
        assert pod.run("conf.sh", str(image), str(config), str(pod.conf)).returncode == 0
        prepared = called("-c", outage.settings(), "agent", "--once")
        assert (prepared.code, expected in prepared.err) == (0, True), prepared.err
        with pod.container("gateway.sh", "entrypoint", "docker-start"):
            until(lambda: outage.gateway.serves("/one"), "it serves from its file")
        archive = tmp_path / "archive"
        if archive.exists():  # the second time without a bucket
            archive.rename(tmp_path / "away")
