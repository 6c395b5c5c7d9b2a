"""compose/: nothing here starts a container, so that all that can be known without one is held."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
import yaml
from composed import Composed, complaints
from servers.etcd import ROOT

if TYPE_CHECKING:
    from servers.lua import Lyaml
    from servers.moto import S3Server

PLAIN, OUTAGE = "compose/compose.yaml", "compose/outage/compose.yaml"
SERVICES = yaml.safe_load((ROOT / OUTAGE).read_text())["services"]
CONFIG = "compose/outage/gateway/config.yaml"
AGENT = "compose/outage/agent.yaml"
SCRIPTS = sorted(path for folder in ("compose", "deploy") for path in (ROOT / folder).rglob("*.sh"))


@pytest.mark.parametrize("path", [PLAIN, OUTAGE])
def test_the_composed_services_fit_together(lyaml: Lyaml, path: str) -> None:
    assert complaints(Composed(ROOT, path, lyaml)) == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with what the compose files name, to be broken."""
    for folder in ("compose", "deploy"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for name in ("pyproject.toml", "README.md", "replicator"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "here", "broken", "complaint"),
    [
        (OUTAGE, "healthcheck:", "healthchecks:", "no compose file"),
        (OUTAGE, "service_healthy", "healthy", "no compose file"),
        (OUTAGE, "127.0.0.1:9080:9080", "localhost:9080", "no compose file"),
        (OUTAGE, "      conf: {", "      config: {", "waits for config, which is no service"),
        (OUTAGE, "s3: {condition: service_started}", "s3: {condition: service_healthy}", "the health of s3"),
        (
            OUTAGE,
            "    entrypoint: [sh, -uc]",
            "    entrypoint: []\n    restart: always",
            "the end of prepare",
        ),
        (OUTAGE, "- home:", "- house:", "mounts house"),
        (OUTAGE, "./agent.yaml:", "./agents.yaml:", "mounts ./agents.yaml"),
        (OUTAGE, "volumes: [s3:/data]", "volumes: []", "nobody uses the volume s3"),
        (OUTAGE, "${S3_SECRET_KEY:?}", "${S3_SECRET_KEY}", "may be left out"),
        (OUTAGE, "S3_ACCESS_KEY", "S3_ACCESS", "S3_ACCESS_KEY"),
        (OUTAGE, "seaweedfs:4.47", "seaweedfs:latest", "of no version"),
        (OUTAGE, "agent --once", "agent --twice", "--twice"),
        (OUTAGE, "agent.yaml, agent]", "agents.yaml, agent]", "agent has no settings"),
        (OUTAGE, ":/usr/local/bin/gateway.sh", ":/gateway.sh", "at /usr/local/bin/gateway.sh"),
        (OUTAGE, "apisix:3.18.0", "apisix:3.17.0", "another version"),
        (OUTAGE, "- 127.0.0.1:9080:9080", "- 127.0.0.1:9081:9080", "nobody reaches the gateway"),
        (
            OUTAGE,
            "- conf:/usr/local/apisix/conf\n    ports",
            "- etcd:/x\n    ports",
            "don't share the folder",
        ),
        (OUTAGE, '"636:0" # of', '"0" # of', "can't replace"),
        ("compose/Dockerfile", "636", "637", "isn't that of the user 636"),
        ("compose/Dockerfile", "/agent.sh", "/agents.sh", "the image needs"),
        ("compose/outage/replicator.yaml", "cron_spec", "cronspec", "unknown setting fallback_cp.cronspec"),
        ("compose/outage/replicator.yaml", "http://s3:", "http://minio:", "http://minio:8333 is none"),
        ("compose/outage/replicator.yaml", "conf/config.yaml", "config.yaml", "is in no volume"),
        ("compose/outage/replicator.yaml", "${S3_ACCESS_KEY}", "${ACCESS_KEY}", "ACCESS_KEY"),
        (AGENT, "http://etcd:2379", "http://etcd:2380", "another etcd"),
        (AGENT, "prefix: /apisix", "prefix: /api", "another prefix"),
        (AGENT, "reload_timeout: 30s", "reload_timeout: 20s", "kills its reload command"),
        (AGENT, "reload.sh, /usr", "reloads.sh, /usr", "asks nobody"),
        (AGENT, ":7085", ":7086", "whether it is ready"),
        (AGENT, "apisix.yaml", "routes.yaml", "doesn't read"),
        (CONFIG, "config_provider: etcd", "config_provider: yaml", "a file already"),
        (CONFIG, "role: data_plane", "role: dataplane", "role is none of"),
        (CONFIG, "http://etcd:2379", "http://etcd:2380", "another etcd"),
        ("compose/outage/control-plane/config.yaml", "ADMIN_KEY", "KEY", "environment variable APISIX_KEY"),
        (PLAIN, "archive:/var", "archives:/var", "mounts archives"),
        ("compose/replicator.yaml", "/spool", "/spools", "/var/lib/replicator/spools is in no volume"),
        ("compose/replicator.yaml", ":9465", ":9466", "the metrics at port 9466"),
    ],
)
def test_what_is_broken_is_seen(
    lyaml: Lyaml, copy: Path, path: str, here: str, broken: str, complaint: str
) -> None:
    text = (copy / path).read_text()
    assert here in text
    (copy / path).write_text(text.replace(here, broken))
    composed = [Composed(copy, name, lyaml) for name in (PLAIN, OUTAGE)]

    assert any(complaint in told for one in composed for told in complaints(one))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_scripts_are_sound(script: Path) -> None:
    shellcheck = Path(sys.executable).parent / "shellcheck"
    for checked in (["sh", "-n", script], [shellcheck, "--external-sources", script]):
        told = subprocess.run(checked, cwd=ROOT, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stdout + told.stderr


def test_the_folder_of_the_gateway_is_filled_once(tmp_path: Path) -> None:
    (script,) = SERVICES["conf"]["command"]
    conf, given = tmp_path / "conf", tmp_path / "gateway.yaml"
    conf.mkdir()
    (conf / "apisix.yaml").write_text("#END\n")
    for here, there in (("/usr/local/apisix/conf", conf), ("/etc/gateway.yaml", given)):
        assert here in script
        script = script.replace(here, str(there))

    def fill() -> str:
        subprocess.run(["/bin/sh", "-euc", script], check=True)
        return (conf / "config.yaml").read_text()

    given.write_text("of the node")
    assert fill() == "of the node"
    assert (conf / "apisix.yaml").stat().st_mode & 0o777 == 0o600
    (conf / "config.yaml").write_text("of the agent")
    assert fill() == "of the agent"
    given.write_text("of a newer node")
    assert fill() == "of a newer node"


@pytest.mark.parametrize(("code", "outcome"), [(0, 0), (6, 0), (5, 1), (1, 1)])
def test_a_gateway_is_prepared_unless_an_agent_is_at_work(tmp_path: Path, code: int, outcome: int) -> None:
    service = SERVICES["prepare"]
    (tmp_path / "replicator").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "replicator").chmod(0o755)
    words = [*service["entrypoint"], *(word.replace("$$", "$") for word in service["command"])]
    path = f"{tmp_path}:{os.environ['PATH']}"

    assert subprocess.run(words, env={"PATH": path}, check=False).returncode == outcome


def test_the_buckets_are_made_and_may_be_there_already(s3_server: S3Server, tmp_path: Path) -> None:
    text = (ROOT / "compose/outage/replicator.yaml").read_text()
    for here, there in (
        ("http://s3:8333", s3_server.endpoint),
        ("config_bucket: config", "config_bucket: composed-config"),
        ("resource_bucket: resources", "resource_bucket: composed-resources"),
    ):
        assert here in text
        text = text.replace(here, there)
    (tmp_path / "replicator.yaml").write_text(text)
    keys = {"S3_ACCESS_KEY": "key", "S3_SECRET_KEY": "secret"}
    for _ in range(2):
        subprocess.run(
            [sys.executable, ROOT / "compose/outage/make_buckets.py", tmp_path / "replicator.yaml"],
            env=os.environ | keys | {"PYTHONPATH": str(ROOT)},
            check=True,
        )

    client = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    made = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    assert {"composed-config", "composed-resources"} <= made
