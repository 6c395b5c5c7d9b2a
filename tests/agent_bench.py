"""A gateway's folder beside a real etcd, a recorder and an agent; its reload and readiness are stand-ins."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import yaml
from servers.command import called, running, until
from servers.etcd_json import EtcdJson

if TYPE_CHECKING:
    from collections.abc import Iterator
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
RELOAD = (
    'test ! -e "$0/broken" && cp "$0/config.yaml" "$0/next" && mv "$0/next" "$0/running" '
    '&& echo . >> "$0/reloads"'
)


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


class Probe(BaseHTTPRequestHandler):
    """A readiness probe that says what it is told to."""

    answer = 503

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(type(self).answer)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def probed(bench: Bench) -> Iterator[type[Probe]]:
    """Let the agent of *bench* ask a probe, which says 503 at first."""

    class Own(Probe):
        """One for each test."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        settings = json.loads(bench.settings.read_text())
        settings["agent"]["ready"] = f"http://127.0.0.1:{server.server_port}/status/ready"
        bench.settings.write_text(json.dumps(settings))
        yield Own
    finally:
        server.shutdown()
        server.server_close()
