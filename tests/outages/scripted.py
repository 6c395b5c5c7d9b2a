"""What compose/outage.sh needs, with a real etcd and the stand-in gateway in the place of containers."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

from outages.composed import in_containers
from servers.command import called, until
from servers.etcd import ROOT
from servers.etcd_json import EtcdJson

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers.etcd import Etcd
    from servers.gateway import Gateway

AGENT = {
    "follow_interval": "100ms",
    "probe_interval": "100ms",
    "failover_after": "1s",
    "failback_after": "1s",
    "hold_down": "500ms",
    "reload_timeout": "5s",
    "ready_timeout": "3s",
}
SCRIPT = ROOT / "compose/outage.sh"

# The script's verbs: those of docker.sh, each but `runs_on` answered by the test.
_VERBS = """\
. "$here/outage/docker.sh"
ask() {
  "$OUTAGE_PYTHON" -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())' \\
    "$OUTAGE_TEST/$1"
}
request() { ask "request$1"; }
put_route() { ask "put_route/$1$2" >/dev/null; }
stop_control_plane() { ask stop_control_plane >/dev/null; }
start_control_plane() { ask start_control_plane >/dev/null; }
restart_node() { ask restart_node >/dev/null; }
"""


@dataclass
class Outage:
    """An etcd, a gateway on it, and what an agent is told of them.

    Args:
        etcd: The control plane.
        gateway: The data plane; it runs.
        folder: For the archive, the agent's home and the settings.
        agent: What its agent is told else.
        steps: The script's verbs that were done.
    """

    etcd: Etcd
    gateway: Gateway
    folder: Path
    agent: dict[str, Any] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """Where the agent keeps what it has decided."""
        return self.folder / "home"

    def settings(self, archive: str = "archive") -> Path:
        """Write the settings of a replicator and an agent for an archive of that name; return their file."""
        path = self.folder / f"{archive}.yaml"
        path.write_text(
            json.dumps(
                {
                    "etcd": {"endpoints": [self.etcd.endpoint], "prefix": "/apisix"},
                    "archive": f"file://{self.folder}/{archive}",
                    "capture": {"flush_interval": "0"},
                    "agent": AGENT
                    | {
                        "home": str(self.home),
                        "config_file": str(self.gateway.conf / "config.yaml"),
                        "resource_file": str(self.gateway.conf / "apisix.yaml"),
                        "reload": self.gateway.reload_command,
                        "ready": self.gateway.ready_url,
                    }
                    | self.agent,
                }
            )
        )
        return path

    @property
    def config(self) -> bytes:
        """What lies in config.yaml."""
        return (self.gateway.conf / "config.yaml").read_bytes()

    def status(self) -> dict[str, Any]:
        """Return what `agent status` answers."""
        outcome = called("-c", self.settings(), "agent", "status", "--json")
        assert outcome.code in {0, 3}, outcome.err
        return json.loads(outcome.out)

    def runs_on(self) -> str:
        """Tell what the gateway runs on, by the agent's word, while no switch is under way."""
        switch = self.status()["switch"]
        return "" if switch["to"] else switch["mode"]

    def put_route(self, identity: str, uri: str, **more: object) -> None:
        """Let the control plane add a route."""
        with EtcdJson(self.etcd.endpoint) as client:
            client.put(f"/apisix/routes/{identity}", json.dumps({"id": identity, "uri": uri} | more))

    def do(self, verb: str, *words: str) -> str:
        """Do what a verb of the script says; return what it prints."""
        self.steps.append(verb)
        if verb == "request":
            return str(self.gateway.get(f"/{words[0]}")[0])
        if verb == "put_route":
            self.put_route(words[0], f"/{words[1]}")
        elif verb == "restart_node":
            self.gateway.kill()
            self.gateway.start()
        else:
            {"stop_control_plane": self.etcd.kill, "start_control_plane": self.etcd.start}[verb]()
        return ""


def run_script(outage: Outage, settings: Path, folder: Path) -> tuple[int, str]:
    """Run compose/outage.sh to its end, beside an agent of those *settings*; return its exit code and words.

    Its verbs are answered by this very thread: what a thread starts may end with it.
    """

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, verb, *words = self.path.split("/")
            body = outage.do(verb, *words).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    (folder / "verbs.sh").write_text(_VERBS)
    with HTTPServer(("127.0.0.1", 0), Answers) as server, (folder / "script.log").open("w+") as said:
        server.timeout = 0.1
        words = {
            "OUTAGE_WITH": str(folder / "verbs.sh"),
            "OUTAGE_TEST": f"http://127.0.0.1:{server.server_port}",
            "OUTAGE_PATIENCE_S": "30",
        } | in_containers(folder, settings)
        with subprocess.Popen(
            ["/bin/sh", SCRIPT], env=os.environ | words, stdout=said, stderr=said
        ) as script:
            while script.poll() is None:
                server.handle_request()
        said.seek(0)
        return script.returncode, said.read()


class Clients(threading.Thread):
    """Somebody who asks for *path* again and again; `failures` has each answer that wasn't 200.

    Requests while the gateway itself is down don't count: no agent can help there.
    """

    def __init__(self, gateway: Gateway, path: str) -> None:
        super().__init__(daemon=True)
        self._gateway, self._path = gateway, path
        self._ended = threading.Event()
        self.asked = 0
        self.failures: list[str] = []

    def run(self) -> None:
        """Ask until told to stop."""
        while not self._ended.wait(0.01):
            life = self._gateway.life
            try:
                status = str(self._gateway.get(self._path)[0])
            except OSError as error:
                status = repr(error)
            if life and life == self._gateway.life:
                self.asked += 1
                if status != "200":
                    self.failures.append(f"{datetime.now(UTC):%T.%f} {status}")

    def stop(self) -> None:
        """Ask no more."""
        self._ended.set()
        self.join()


@contextmanager
def asking(gateway: Gateway, path: str) -> Iterator[Clients]:
    """Ask for *path* for the time of the block; fail at its end unless each answer was 200."""
    until(lambda: gateway.serves(path), f"{path} is served")
    clients = Clients(gateway, path)
    clients.start()
    try:
        yield clients
    finally:
        clients.stop()
    assert clients.failures == [], clients.failures[:10]
    assert clients.asked > 0
