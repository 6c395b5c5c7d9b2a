"""The process of the stand-in gateway: a master that keeps its ports, and generations of workers behind it.

    python -m servers.gateway_server start|run|reload|init|init_etcd HOME

`run` is what an image's entrypoint does: `apisix init`, `apisix init_etcd`, then the master. `start` is
`apisix start`, which asks no etcd for a data plane. `reload` is `apisix reload`: it looks at the files first,
and ends with 1 and its reason if they won't do; then it tells the master, and doesn't wait for it. `init` and
`init_etcd` are the steps of these.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers.gateway_config import Dies, read_node, rehearse_file
from servers.gateway_sources import FromEtcd, FromFile, owners_of
from servers.lua import Lyaml

if TYPE_CHECKING:
    from servers.gateway_config import Node

INTERVAL = "STAND_IN_INTERVAL_S"
_PATIENCE_S = 2
_SIGNALS = {signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGINT}


class Parser:
    """lyaml for several threads; an empty document is None, as Lua's nil."""

    def __init__(self) -> None:
        self._lyaml, self._lock = Lyaml(), threading.Lock()

    def __call__(self, text: bytes) -> Any:
        """Return what lyaml reads in *text*, or raise LyamlRefused."""
        with self._lock:
            try:
                return self._lyaml(text or b"\n")
            except json.JSONDecodeError:
                return None


class Master:
    """The master at work in *home*."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._parse = Parser()
        self._ports: dict[int, _Server] = {}
        self.generation = 0
        self.node, self.source = self._generated()

    def run(self) -> None:
        """Serve until a signal ends it."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._listen()
        (self.home / "logs/nginx.pid").write_text(str(os.getpid()))
        while signal.sigwait(_SIGNALS) == signal.SIGHUP:
            self._reload()

    def log(self, line: str) -> None:
        """Write to the error log."""
        with (self.home / "logs/error.log").open("a") as file:
            file.write(f"{datetime.now(UTC).isoformat()} {line}\n")

    def is_told(self, knob: str) -> bool:
        """Tell whether a test has turned *knob*."""
        return (self.home / "knobs" / knob).exists()

    def _reload(self) -> None:
        """Let new workers begin; if they can't, the old ones go on."""
        try:
            node, source = self._generated()
        except Dies as error:
            self.log(f"init_by_lua error: {error}")
            return
        before, self.node, self.source = self.source, node, source
        self.generation += 1
        self._listen()
        threading.Thread(target=before.close, daemon=True).start()

    def _generated(self) -> tuple[Node, FromFile | FromEtcd]:
        conf = self.home / "conf"
        node = read_node((conf / "config.yaml").read_bytes(), self._parse, os.environ)
        if node.provider == "etcd":
            return node, FromEtcd(node, self.log)
        return node, FromFile(node, conf, self._parse, self.log, float(os.environ.get(INTERVAL, "1")))

    def _listen(self) -> None:
        """Open what config.yaml names and isn't open, and close what it doesn't name any more."""
        wanted = {self.node.listen: _Proxy} | ({self.node.status: _Status} if self.node.status else {})
        for port in self._ports.keys() - wanted.keys():
            self._ports.pop(port).shutdown()
        for port in wanted.keys() - self._ports.keys():
            self._ports[port] = server = _Server(("127.0.0.1", port), wanted[port])
            server.master = self
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    master: Master

    def handle_error(self, request: Any, client_address: object) -> None:
        """Pass over a client that went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def answer(self, code: int, /, **body: object) -> None:
        """Answer with a JSON object."""
        text = json.dumps(body).encode()
        self.send_response_only(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Keep each request off stderr."""


class _Status(_Handler):
    """`/status/ready` as APISIX has it; `/held` tells a test what the workers hold."""

    def do_GET(self) -> None:
        """Answer."""
        master = self.server.master
        source = master.source
        if self.path == "/held":
            self.answer(200, generation=master.generation, provider=master.node.provider, **source.sections)
        elif self.path != "/status/ready":
            self.answer(404)
        elif trouble := source.trouble or ("the test says so" if master.is_told("never-ready") else ""):
            self.answer(503, status="error", error=trouble)
        else:
            self.answer(200, status="ok")


class _Proxy(_Handler):
    """Requests: the item of the first route that fits stands for what its upstream would answer."""

    def do_GET(self) -> None:
        """Answer."""
        sections = self.server.master.source.sections
        path = self.path.partition("?")[0]
        fitting = [
            route
            for route in sections.get("routes", {}).values()
            for uri in (route.get("uri"), *route.get("uris", ()))
            if uri == path or (uri and uri.endswith("*") and path.startswith(uri[:-1]))
        ]
        if not fitting:
            self.answer(404, error_msg="404 Route Not Found")
            return
        route, consumer = fitting[0], None
        if "key-auth" in route.get("plugins", {}):
            consumer = owners_of(sections.get("consumers", {})).get(self.headers.get("apikey", ""))
            if consumer is None:
                self.answer(401, message="Invalid API key in request")
                return
        self.answer(200, route=route["id"], item=route, consumer=consumer)


def init(home: Path) -> Node:
    """Do as `apisix init`.

    Raises:
        Dies: config.yaml or apisix.yaml won't do.
    """
    parse = Parser()
    try:
        text = (home / "conf/config.yaml").read_bytes()
    except OSError as error:
        raise Dies(f"failed to read local yaml config of apisix: {error}") from None
    node = read_node(text, parse, os.environ)
    if node.provider == "yaml":
        rehearse_file(home / "conf/apisix.yaml", parse, os.environ)
    return node


def init_etcd(node: Node) -> None:
    """Do as `apisix init_etcd`.

    Raises:
        Dies: No etcd answers.
    """
    if node.provider != "etcd":
        return
    for url in node.etcd:
        with suppress(OSError), urllib.request.urlopen(f"{url}/version", timeout=_PATIENCE_S):  # noqa: S310
            return
    raise Dies("all etcd nodes are unavailable")


def reload(home: Path) -> None:
    """Do as `apisix reload`.

    Raises:
        Dies: The files won't do; nothing was reloaded.
    """
    has_hung = (home / "knobs/reload-hangs").exists()
    while (home / "knobs/reload-hangs").exists():
        time.sleep(0.05)
    if has_hung or (home / "knobs/reload-fails").exists():
        raise Dies("the test says so")
    init(home)
    if (home / "knobs/reload-is-lost").exists():
        print("test openresty failed")  # noqa: T201 (and the exit code is 0, as APISIX's is)
        return
    try:
        os.kill(int((home / "logs/nginx.pid").read_text()), signal.SIGHUP)
    except (OSError, ValueError) as error:
        raise Dies(f"nginx: [error] {error}") from None


def main(verb: str, home: Path) -> None:
    """Do what the command line says."""
    (home / "logs").mkdir(exist_ok=True)
    if verb == "reload":
        reload(home)
        return
    node = init(home)
    if verb in {"run", "init_etcd"} or (verb == "start" and node.role != "data_plane"):
        init_etcd(node)
    if verb in {"run", "start"}:
        Master(home).run()


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]))
    except Dies as death:
        sys.exit(str(death))
