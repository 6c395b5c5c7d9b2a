"""`replicator agent` beside a stand-in for a gateway: outages, failing reloads, kills, and words by hand."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from servers.command import called, running, until
from servers.etcd_json import EtcdJson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.command import Recorder
    from servers.etcd import Etcd

ORIGINAL = b"""\
# ours
apisix: {node_listen: 9080}  # the port
deployment:
  role: traditional
  etcd: {host: ["http://127.0.0.1:2379"]}
"""
AGENT = {
    "follow_interval": "100ms",
    "probe_interval": "100ms",
    "failover_after": "1s",
    "failback_after": "1s",
    "hold_down": "500ms",
    "reload_timeout": "5s",
    "ready_timeout": "2s",
}
# What `apisix reload` is to a gateway: the configuration that it runs with is what lies there now.
RELOAD = 'test ! -e "$0/broken" && cp "$0/config.yaml" "$0/running" && echo . >> "$0/reloads"'


@dataclass
class Bench:
    """A gateway's folder, an etcd, an archive, and the settings of all."""

    folder: Path
    etcd: Etcd
    settings: Path

    @property
    def config(self) -> bytes:
        """What lies in config.yaml."""
        return (self.folder / "config.yaml").read_bytes()

    @property
    def runs_on(self) -> str:
        """What the gateway runs on, by the configuration that it has loaded."""
        deployment = yaml.safe_load((self.folder / "running").read_bytes())["deployment"]
        return "its file" if deployment["role"] == "data_plane" else "etcd"

    @property
    def routes(self) -> set[str]:
        """The routes in the standalone file."""
        path = self.folder / "apisix.yaml"
        items = (yaml.safe_load(path.read_bytes()) or {}) if path.exists() else {}
        return {item["id"] for item in items.get("routes", [])}

    @property
    def reloads(self) -> int:
        """How often the gateway was reloaded."""
        path = self.folder / "reloads"
        return path.read_bytes().count(b".") if path.exists() else 0

    def put(self, route: str) -> None:
        """Add a route to etcd."""
        with EtcdJson(self.etcd.endpoint) as client:
            client.put(f"/apisix/routes/{route}", json.dumps({"id": route, "uri": f"/{route}"}))

    def status(self) -> Any:
        """Return what `agent status` answers."""
        outcome = called("-c", self.settings, "agent", "status", "--json")
        assert outcome.code in {0, 3}, outcome.err
        return json.loads(outcome.out)

    def turns_to(self, what: str) -> None:
        """Wait until the gateway runs on *what*, and the switch is over."""
        mode = "etcd" if what == "etcd" else "standalone"
        until(lambda: self.runs_on == what, f"the gateway runs on {what}")
        until(lambda: self.status()["switch"]["mode"] == mode, f"the agent says so: {self.status()}")

    @contextmanager
    def agent(self, name: str = "agent") -> Iterator[Recorder]:
        """Run an agent."""
        with running(self.folder / f"{name}.log", "-c", self.settings, command="agent") as agent:
            agent.tells("agent.started")
            yield agent


@pytest.fixture
def bench(
    tmp_path: Path, etcd_factory: Callable[..., Etcd], settings: Callable[..., Path]
) -> Iterator[Bench]:
    """Return a bench with a recorder at work, and one route."""
    etcd = etcd_factory()
    folder = tmp_path / "gateway"
    folder.mkdir()
    (folder / "config.yaml").write_bytes(ORIGINAL)
    (folder / "config.yaml").chmod(0o640)
    (folder / "running").write_bytes(ORIGINAL)
    agent = AGENT | {
        "home": str(tmp_path / "home"),
        "config_file": str(folder / "config.yaml"),
        "resource_file": str(folder / "apisix.yaml"),
        "reload": ["sh", "-c", RELOAD, str(folder)],
    }
    path = settings(
        etcd={"endpoints": [etcd.endpoint], "prefix": "/apisix"},
        archive=f"file://{tmp_path}/archive",
        capture={"flush_interval": "0"},
        agent=agent,
    )
    bench = Bench(folder, etcd, path)
    bench.put("1")
    with running(tmp_path / "run.log", "-c", path) as recorder:
        recorder.tells("watch.started")
        yield bench


def test_an_outage_from_end_to_end(bench: Bench) -> None:
    with bench.agent() as agent:
        until(lambda: bench.routes == {"1"}, "the file is there")
        bench.put("2")
        until(lambda: bench.routes == {"1", "2"}, "the file follows")
        assert bench.reloads == 0
        bench.etcd.kill()
        bench.turns_to("its file")
        assert (bench.folder / "config.yaml").stat().st_mode & 0o777 == 0o640
        assert bench.reloads == 1
        bench.etcd.start()
        bench.turns_to("etcd")
        assert bench.config == ORIGINAL
        assert (bench.folder / "config.yaml").stat().st_mode & 0o777 == 0o640
        assert bench.reloads == 2
        bench.put("3")
        until(lambda: bench.routes == {"1", "2", "3"}, "the file follows again")
        assert agent.stop() == 0
    assert bench.status()["pid"] == 0


def test_an_agent_that_is_killed_amid_an_outage_goes_on(bench: Bench) -> None:
    with bench.agent() as agent:
        until(lambda: bench.routes == {"1"}, "the file is there")
        bench.etcd.kill()
        bench.turns_to("its file")
        assert agent.stop(signal.SIGKILL) == -signal.SIGKILL
    bench.etcd.start()
    with bench.agent("again"):
        bench.turns_to("etcd")
    assert bench.config == ORIGINAL


def test_a_reload_that_fails_is_undone_and_tried_again(bench: Bench) -> None:
    (bench.folder / "broken").touch()
    with bench.agent() as agent:
        until(lambda: bench.routes == {"1"}, "the file is there")
        bench.etcd.kill()
        agent.tells("switch.undone")
        assert bench.config == ORIGINAL
        assert bench.runs_on == "etcd"
        (bench.folder / "broken").unlink()
        bench.turns_to("its file")
        failures = agent.events("switch.failed")
        assert "the reload command ended with 1" in failures[0]["cause"]


def test_a_wiped_etcd_is_not_trusted_unless_forced(bench: Bench) -> None:
    with bench.agent():
        until(lambda: bench.routes == {"1"}, "the file is there")
        bench.etcd.kill()
        bench.turns_to("its file")
        bench.etcd.wipe()
        bench.etcd.start()
        until(lambda: "it was wiped" in bench.status()["outlook"], "the agent says why it stays")
        assert bench.runs_on == "its file"
        outcome = called("-c", bench.settings, "agent", "failback")
        assert outcome.code == 7
        assert "it was wiped" in outcome.err
        assert called("-c", bench.settings, "agent", "failback", "--force").code == 0
        assert bench.config == ORIGINAL


def test_by_hand_while_it_runs_and_while_none_does(bench: Bench) -> None:
    def say(*words: str) -> str:
        outcome = called("-c", bench.settings, "agent", *words)
        assert outcome.code == 0, outcome.err
        return outcome.out.decode()

    with bench.agent() as agent:
        until(lambda: bench.routes == {"1"}, "the file is there")
        assert "runs on its file" in say("failover")
        until(lambda: bench.status()["outlook"] == "turned to the file by hand", "it stays there")
        assert "NONE RUNS" not in say("status")
        assert say("pause")
        until(lambda: bench.status()["switch"]["is_paused"], "it is paused")
        assert agent.stop() == 0
    assert "NONE RUNS" in say("status")
    assert "runs on etcd" in say("failback")
    assert bench.config == ORIGINAL
    assert say("resume")
    assert "already" in say("failback")


def test_a_second_agent_is_refused(bench: Bench) -> None:
    with bench.agent():
        outcome = called("-c", bench.settings, "agent")
        assert outcome.code == 6
        assert "another agent is at work" in outcome.err


def test_a_gateway_that_starts_during_an_outage(bench: Bench) -> None:
    def once() -> tuple[int, str]:
        outcome = called("-c", bench.settings, "agent", "--once")
        return outcome.code, outcome.err

    code, said = once()
    assert (code, bench.config) == (0, ORIGINAL)
    assert "etcd answers" in said
    bench.etcd.kill()
    code, said = once()
    assert code == 0
    assert "archive's newest state" in said
    assert bench.routes == {"1"}
    assert b"data_plane" in bench.config
    archive = bench.settings.parent / "archive"
    archive.rename(archive.with_name("away"))
    code, said = once()
    assert code == 0
    assert "the file of before" in said
    (bench.folder / "apisix.yaml").unlink()
    code, said = once()
    assert code == 5
    assert "nothing to start from" in said
    archive.with_name("away").rename(archive)
    bench.etcd.start()
    code, said = once()
    assert (code, bench.config) == (0, ORIGINAL)
    assert "the original again" in said
    assert bench.reloads == 0


def test_what_must_be_mended_before_an_outage_is_told(bench: Bench) -> None:
    (bench.folder / "config.yaml").write_text("deployment: {role: queen}\n")
    with bench.agent():
        until(lambda: bench.routes == {"1"}, "the file is there")
        until(lambda: "deployment.role" in bench.status()["trouble"], "the agent has looked at config.yaml")
    assert called("-c", bench.settings, "agent", "status").code == 3


class Probe(BaseHTTPRequestHandler):
    """A readiness probe that says what it is told to."""

    answer = 503

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(type(self).answer)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_gateway_that_does_not_get_ready_is_put_back(bench: Bench) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Probe)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        settings = json.loads(bench.settings.read_text())
        settings["agent"]["ready"] = f"http://127.0.0.1:{server.server_port}/status/ready"
        bench.settings.write_text(json.dumps(settings))
        with bench.agent() as agent:
            until(lambda: bench.routes == {"1"}, "the file is there")
            bench.etcd.kill()
            agent.tells("switch.undone")
            assert (bench.config, bench.runs_on) == (ORIGINAL, "etcd")
            assert "it answered 503" in agent.events("switch.failed")[0]["cause"]
            Probe.answer = 200
            bench.turns_to("its file")
    finally:
        Probe.answer = 503
        server.shutdown()
        server.server_close()


def test_a_status_of_nobody_is_an_error(settings: Callable[..., Path], tmp_path: Path) -> None:
    path = settings(archive=f"file://{tmp_path}/archive", agent={"home": str(tmp_path / "home")})
    outcome = called("-c", path, "agent", "status")
    assert outcome.code == 2
    assert "no agent has run here" in outcome.err
    assert not (tmp_path / "home").exists()
