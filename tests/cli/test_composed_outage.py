"""compose/outage.sh by the settings beside it: a real etcd, replicator and agent, the stand-in for APISIX."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from outages.composed import COMPOSED, composed
from outages.scripted import Outage, asking, run_script
from servers.command import environment, running, until
from servers.etcd import ROOT
from servers.gateway import gateway_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.etcd import Etcd
    from servers.moto import S3Server


@pytest.fixture
def outage(
    tmp_path: Path,
    etcd_factory: Callable[..., Etcd],
    s3_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Outage]:
    """Return a gateway on etcd, with a replicator and an agent at work, and a bucket for each archive."""
    etcd = etcd_factory()
    monkeypatch.setenv("S3_ACCESS_KEY", "key")
    monkeypatch.setenv("S3_SECRET_KEY", "secret")
    with gateway_in(tmp_path / "gateway") as gateway:
        settings, agents = composed(tmp_path, etcd, gateway, s3_server)
        made = [sys.executable, COMPOSED / "make_buckets.py", settings]
        subprocess.run(made, env=environment(), check=True)
        outage = Outage(etcd, gateway, tmp_path)
        outage.put_route("1", "/one")
        gateway.start()
        with (
            running(tmp_path / "run.log", "-c", settings),
            running(tmp_path / "agent.log", "-c", agents, command="agent"),
        ):
            until((gateway.conf / "apisix.yaml").exists, "the agent has written its file")
            yield outage


def test_the_scripted_outage(outage: Outage, tmp_path: Path) -> None:
    original = outage.config
    with asking(outage.gateway, "/one"):
        code, said = run_script(outage, tmp_path / "agent.yaml", tmp_path)
    assert code == 0, said
    assert outage.config == original
    assert f"```\n{said}```\n" in (ROOT / "docs/guides/docker.md").read_text()
