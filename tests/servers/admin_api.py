"""A stand-in for a gateway in API-driven standalone mode: `/apisix/admin/configs` by APISIX 3.18's rules.

What isn't checked is the schemas: an item is refused if it has a plugin that this gateway doesn't know.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from replicator.apisix import cjson

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPES = (
    "upstreams",
    "plugins",
    "ssls",
    "stream_routes",
    "plugin_metadata",
    "routes",
    "services",
    "consumers",
    "global_rules",
    "protos",
    "plugin_configs",
    "consumer_groups",
    "secrets",
)


class StandaloneGateway:
    """The gateway's memory; *url* is its Admin API's.

    Attributes:
        held: The configuration, with versions and digest; empty after a start.
        built: How often each type was built anew.
        plugins: The plugins that it knows; None: all.
        tells_digest: Whether it is 3.14 or later.
        loses: So many answers to PUTs are lost, after they were obeyed.
        asked: The methods of all requests.
    """

    def __init__(self, key: str = "secret") -> None:
        self.key = key
        self.url = ""
        self.held: dict[str, Any] = {}
        self.built: dict[str, int] = {}
        self.plugins: set[str] | None = None
        self.tells_digest = True
        self.loses = 0
        self.asked: list[str] = []

    def restart(self) -> None:
        """Lose the memory."""
        self.held, self.built = {}, {}

    def items(self, kind: str) -> list[Any]:
        """Return the items of *kind*."""
        return list(self.held.get(kind) or [])

    def config(self) -> dict[str, Any]:
        """Return what GET shows."""
        return self.held or {f"{kind}_conf_version": 0 for kind in TYPES}

    def update(self, body: bytes, digest: str | None) -> tuple[int, Any]:
        """Do a PUT; return its status and answer."""
        if digest is None and self.tells_digest:
            return 400, {"error_msg": "missing digest header"}
        try:
            wanted = cjson.decode(body)
        except cjson.NotJson as error:
            return 400, {"error_msg": f"invalid request body: {error}"}
        if digest is not None and self.held.get("X-Digest") == digest:
            return 204, None
        refused = list(self.refusals(wanted))
        if refused:
            return 400, {"error_msg": refused[0]["error"]}
        made: dict[str, Any] = {}
        for kind in TYPES:
            name = f"{kind}_conf_version"
            held = self.held.get(name, 0)
            version = wanted.get(name, held + 1)
            if version < held:
                return 400, {"error_msg": f"{name} must be greater than or equal to ({held})"}
            made[name] = version
            items = self.held.get(kind) if version == held else wanted.get(kind)
            if version != held:
                self.built[kind] = self.built.get(kind, 0) + 1
            if items:
                made[kind] = items
        self.held = made | ({"X-Digest": digest} if self.tells_digest else {})
        return 202, None

    def refusals(self, wanted: Any) -> Iterator[dict[str, Any]]:
        """Yield what `/validate` says."""
        for kind in TYPES:
            for index, item in enumerate(wanted.get(kind) or []):
                for plugin in (item.get("plugins") or {}) if isinstance(item, dict) else {}:
                    if self.plugins is not None and plugin not in self.plugins:
                        error = f"unknown plugin [{plugin}]"
                        name = item.get("id") or item.get("username") or ""
                        yield {"resource_type": kind, "resource_id": name, "index": index, "error": error}


class _Handler(BaseHTTPRequestHandler):
    gateway: StandaloneGateway

    def _handle(self) -> None:
        gateway = self.gateway
        gateway.asked.append(self.command)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("X-API-KEY") != gateway.key:
            self._answer(401, {"error_msg": "failed to check token", "description": "wrong apikey"})
        elif not self.path.startswith("/apisix/admin/configs"):
            self._answer(404, None)
        elif self.command == "POST":
            errors = list(gateway.refusals(cjson.decode(body)))
            told = {"error_msg": "Configuration validation failed", "errors": errors}
            self._answer(400 if errors else 200, told if errors else {})
        elif self.command == "PUT":
            status, told = gateway.update(body, self.headers.get("X-Digest"))
            if gateway.loses and status == 202:
                gateway.loses -= 1
                self.connection.close()
            else:
                self._answer(status, told)
        else:
            self._answer(200, gateway.config())

    do_GET = do_HEAD = do_PUT = do_POST = _handle  # noqa: N815 (the library's names)

    def _answer(self, status: int, document: Any) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        if "X-Digest" in self.gateway.held:
            self.send_header("X-Digest", self.gateway.held["X-Digest"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def standalone_gateway(key: str = "secret") -> Iterator[StandaloneGateway]:
    """Serve a gateway that was just started, on a free port of the loopback."""
    gateway = StandaloneGateway(key)
    handler = type("Handler", (_Handler,), {"gateway": gateway})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        gateway.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield gateway
        finally:
            server.shutdown()
            thread.join()
