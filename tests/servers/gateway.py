"""A stand-in for an APISIX gateway, as a process of its own: see `servers.gateway_server`.

It behaves by what was measured on real gateways and read in APISIX 3.18's code: how config.yaml and the
standalone file are read, what a start and a reload refuse, what running workers keep, and what is lost. The
most telling of it: a gateway that is *reloaded* into etcd mode while etcd is away holds nothing any more.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from servers.command import until
from servers.etcd import ROOT
from servers.gateway_server import INTERVAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Knob = Literal["reload-fails", "reload-hangs", "reload-is-lost", "never-ready"]

_CONFIG = """\
# The node's own configuration.
apisix:
  node_listen: {listen}   # the proxy
  status: {{ip: 127.0.0.1, port: {status}}}
deployment:
  role: {role}
  role_{role}: {{config_provider: {provider}}}
  etcd:
    host: ["{etcd}"]
    prefix: /apisix
"""


class GatewayDied(Exception):
    """It doesn't start; the message is its own."""


class Gateway:
    """A gateway in the folder *home*, which is made; its files are in `conf`.

    Args:
        home: A folder of its own.
        interval_s: How often it looks at its file; 1 s in APISIX.
        variables: Environment variables of its process.
    """

    def __init__(self, home: Path, interval_s: float = 0.05, variables: dict[str, str] | None = None) -> None:
        self.home = home
        self.conf = home / "conf"
        for folder in (self.conf, home / "knobs", home / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        self.listen, self.status = _free_port(), _free_port()
        self._environment = (
            os.environ
            | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", INTERVAL: str(interval_s)}
            | (variables or {})
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self.life = 0  # which start it lives by; 0 while it is down

    def config(self, etcd: str, role: str = "data_plane", provider: str = "etcd") -> bytes:
        """Return a config.yaml for it."""
        return _CONFIG.format(
            listen=self.listen, status=self.status, role=role, provider=provider, etcd=etcd
        ).encode()

    @property
    def reload_command(self) -> list[str]:
        """What `apisix reload` is to a real one; for `agent.reload`."""
        return ["env", f"PYTHONPATH={ROOT}:{ROOT / 'tests'}", *self._command("reload")]

    @property
    def ready_url(self) -> str:
        """Where it tells whether it is ready; for `agent.ready`."""
        return f"http://127.0.0.1:{self.status}/status/ready"

    def start(self, verb: Literal["run", "start"] = "run") -> None:
        """Start it, as an image's entrypoint does (or as `apisix start`), until it listens.

        Raises:
            GatewayDied: It doesn't start.
        """
        pid = self.home / "logs/nginx.pid"
        pid.unlink(missing_ok=True)
        said = self.home / "logs/output"
        with said.open("wb") as output:
            self._process = process = subprocess.Popen(
                self._command(verb),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until(lambda: pid.exists() or process.poll() is not None, "the gateway starts")
        if process.poll() is not None:
            raise GatewayDied(said.read_text().strip())
        self._starts += 1
        self.life = self._starts

    def reload(self) -> subprocess.CompletedProcess[str]:
        """Run `apisix reload` to its end; the new workers may come later."""
        return subprocess.run(
            self._command("reload"),
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def kill(self) -> None:
        """Kill it, as a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGQUIT)

    def turn(self, knob: Knob, *, on: bool = True) -> None:
        """Let it fail from now on, or no more."""
        path = self.home / "knobs" / knob
        if on:
            path.touch()
        else:
            path.unlink(missing_ok=True)

    def get(self, path: str, key: str = "") -> tuple[int, Any]:
        """Ask it for *path*, with a *key* of key-auth; return status and body."""
        return self._ask(self.listen, path, {"apikey": key} if key else {})

    def serves(self, path: str) -> bool:
        """Tell whether it answers *path* with 200."""
        try:
            return self.get(path)[0] == 200
        except OSError:
            return False

    @property
    def is_ready(self) -> bool:
        """Whether `/status/ready` says so."""
        try:
            return self._ask(self.status, "/status/ready", {})[0] == 200
        except OSError:
            return False

    def held(self) -> dict[str, Any]:
        """Return what it holds, items by section and id; and `provider`, and `generation`: its reloads."""
        status, held = self._ask(self.status, "/held", {})
        assert status == 200
        return held

    def said(self) -> str:
        """Return its error log."""
        path = self.home / "logs/error.log"
        return path.read_text() if path.exists() else ""

    def _command(self, verb: str) -> list[str]:
        return [sys.executable, "-m", "servers.gateway_server", verb, str(self.home)]

    def _end(self, number: signal.Signals) -> None:
        self.life = 0
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def _ask(self, port: int, path: str, headers: dict[str, str]) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except http.client.IncompleteRead as cut:
            raise ConnectionResetError("the gateway ended within its answer") from cut
        finally:
            connection.close()


@contextmanager
def gateway_in(home: Path, **options: Any) -> Iterator[Gateway]:
    """Make a gateway, not started, for the time of the block."""
    gateway = Gateway(home, **options)
    try:
        yield gateway
    finally:
        gateway.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
