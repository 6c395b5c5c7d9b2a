"""The heartbeat: a sign when more can be restored, seldom, and nobody waits for it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from archives import quiet_log
from servers.clock import SteppedClock
from servers.command import running, until

from replicator.adapters.heartbeat import Heartbeat
from replicator.telemetry.metrics import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.etcd_json import EtcdJson

_SECRET = "c0ffee-is-secret"


class Service(ThreadingHTTPServer):
    """Counts what it is asked for, and answers *code*."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.code = 200

    @property
    def url(self) -> str:
        """Where it is, with a secret in the path."""
        return f"http://127.0.0.1:{self.server_address[1]}/{_SECRET}"


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(self.server.code)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    """Return a service under way."""
    server = Service()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_sign_is_given_once_a_minute_at_most(service: Service) -> None:
    clock, (log, kept) = SteppedClock(), quiet_log()
    heart = Heartbeat(Silent(), service.url, clock, log)
    heart.set("gaps", 1)
    heart.count("fenced_total")
    for _ in range(12):
        heart.set("restorable_time_seconds", clock.monotonic())
        clock.sleep(15)
    until(lambda: len(service.asked) == 3, "three signs")
    assert set(service.asked) == {f"/{_SECRET}"}
    assert not kept.entries


def test_what_fails_is_told_without_the_url(service: Service) -> None:
    clock, (log, kept) = SteppedClock(), quiet_log()
    service.code = 404
    for url in (
        service.url,
        f"http://127.0.0.1:1/{_SECRET}",
        f"http://no-such-host.invalid/{_SECRET}",
        "http://[/",
    ):
        Heartbeat(Silent(), url, clock, log).set("restorable_time_seconds", 1)
    until(lambda: len(kept.entries) == 4, "four failures")
    assert {entry["event"] for entry in kept.entries} == {"heartbeat.missed"}
    assert "it answers 404" in {entry["cause"] for entry in kept.entries}
    assert _SECRET not in json.dumps(kept.entries)


def test_a_recorder_gives_signs(
    service: Service, settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    path = settings(metrics={"heartbeat": service.url}, capture={"flush_interval": "0"})
    with running(tmp_path / "log", "-c", path) as recorder:
        recorder.tells("watch.started")
        recorder.stores(client.put(f"{prefix}/routes/1", "{}"))
        until(lambda: bool(service.asked), "a sign")
        assert recorder.stop() == 0
    assert _SECRET not in recorder.said()
