"""The verbs of compose/outage/docker.sh, with a `docker` and a `curl` that tell how they were called."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
import pytest
import yaml
from outages.composed import in_containers
from servers.etcd import ROOT

from replicator.flows.agent_told import STATUS, AgentTold
from replicator.flows.copy_told import CopyTold
from replicator.flows.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

COMPOSE = ROOT / "compose/outage/compose.yaml"
SERVICES = yaml.safe_load(COMPOSE.read_text())["services"]
SECRET = "this-is-secret-0"
_CURL = """\
#!/bin/sh
for word; do printf '%s\\0' "$word"; done >"${0%/*}/curl.words"
case $* in *@-*) cat >"${0%/*}/curl.stdin" ;; esac
printf 200
"""


@dataclass
class Shell:
    """A shell that has read docker.sh.

    Args:
        bin: The folder of what it calls.
        variables: Its environment.
    """

    bin: Path
    variables: dict[str, str]

    def verb(self, *words: str) -> str:
        """Call a verb as outage.sh does; return what it prints."""
        script = f'set -eu; here={ROOT}/compose; . "$here/outage/docker.sh"; "$@"'
        done = subprocess.run(
            ["/bin/sh", "-c", script, "outage.sh", *words],
            env=os.environ | self.variables,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    def curled(self) -> list[str]:
        """Return the words that `curl` was called with."""
        return (self.bin / "curl.words").read_text().split("\0")[:-1]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return one whose agent has *tmp_path* for its home."""
    variables = in_containers(tmp_path, ROOT / "compose/outage/agent.yaml") | {
        "APISIX_ADMIN_KEY": SECRET,
        "REPLICATOR_AGENT_HOME": str(tmp_path),
        "S3_ACCESS_KEY": "key",
        "S3_SECRET_KEY": SECRET,
    }
    curl = tmp_path / "bin/curl"
    curl.write_text(_CURL)
    curl.chmod(0o755)
    return Shell(tmp_path / "bin", variables)


def published(url: str) -> set[str]:
    """Return the services that publish the port of *url* on this machine."""
    here = f"{urlsplit(url).netloc}:{urlsplit(url).port}"
    return {name for name, service in SERVICES.items() if here in service.get("ports", ())}


def test_a_request_goes_to_the_gateway(shell: Shell) -> None:
    assert shell.verb("request", "/before") == "200"
    url = shell.curled()[-1]
    assert url.endswith("/before")
    assert published(url) == {"gateway"}


def test_a_route_goes_to_the_control_plane_and_the_key_through_no_argument(shell: Shell) -> None:
    shell.verb("put_route", "after", "/after")
    words = shell.curled()
    (url,) = [word for word in words if word.startswith("http://")]
    assert published(url) == {"control-plane"}
    assert urlsplit(url).path == "/apisix/admin/routes/after"
    route = json.loads(words[words.index("-d") + 1])
    assert route["uri"] == "/after"
    assert SECRET not in " ".join(words)
    assert (shell.bin / "curl.stdin").read_text() == f"X-API-KEY: {SECRET}\n"


@pytest.mark.parametrize(
    ("name", "action", "services"),
    [
        ("stop_control_plane", "stop", {"control-plane", "etcd"}),
        ("start_control_plane", "start", {"control-plane", "etcd"}),
        ("restart_node", "restart", {"gateway"}),
    ],
)
def test_services_are_stopped_and_started(shell: Shell, name: str, action: str, services: set[str]) -> None:
    (shell.bin / "docker").write_text('#!/bin/sh\necho "$*" >>"${0%/*}/docker.calls"\necho "what it does"\n')

    assert shell.verb(name) == ""  # what docker says is for people
    _, file, path, done, *named = (shell.bin / "docker.calls").read_text().split()
    assert (file, path, done, set(named)) == ("-f", str(COMPOSE), action, services)
    assert services <= SERVICES.keys()


@pytest.mark.parametrize(
    ("journal", "printed"),
    [
        (Journal(), "etcd"),
        (Journal(mode="standalone"), "standalone"),
        (Journal(mode="etcd", to="standalone", step="awaiting"), ""),
        (Journal(mode="standalone", to="etcd", step="reloading"), ""),
        (None, ""),
    ],
)
def test_what_the_gateway_runs_on_is_the_agents_word(
    shell: Shell, journal: Journal | None, printed: str
) -> None:
    told = AgentTold(at=datetime.now(UTC), pid=0, switch=journal, copy=CopyTold())
    (shell.bin.parent / STATUS).write_bytes(msgspec.json.encode(told))

    assert shell.verb("runs_on").strip() == printed
    assert (shell.bin / "docker.calls").read_text().startswith(f"compose -f {COMPOSE} exec -T agent ")
    assert "agent" in SERVICES


def test_nothing_is_printed_before_an_agent_has_begun(shell: Shell) -> None:
    assert shell.verb("runs_on").strip() == ""
