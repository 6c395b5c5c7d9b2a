"""The metrics as Prometheus scrapes them: one registry and one small HTTP server for the process."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from replicator.adapters.clock import SystemClock
from replicator.errors import UsageError
from replicator.telemetry.metrics import ARCHIVE, BUCKETS_S, METRICS, PREFIX, known

if TYPE_CHECKING:
    from replicator.telemetry.metrics import Meter, Metric

# Whoever asks and then says nothing is not waited for longer.
_PATIENCE_S = 10

# The watermark moves each second where etcd tells progress, and each ten minutes where it doesn't.
_BEHIND_S = 900


class Registry:
    """All metrics of this process, for any number of archives."""

    def __init__(self) -> None:
        self._archives: dict[str, dict[str, float]] = {}
        disable_created_metrics()  # type: ignore[no-untyped-call] # a series more for each counter, which nobody asks for
        self.collected = CollectorRegistry()
        self._metrics = {metric.name: _collector(metric, self.collected) for metric in METRICS}

    def meter(self, archive: str) -> Meter:
        """Return what takes the numbers of *archive*; its counters begin at 0."""
        for metric in METRICS:
            if metric.type == "counter" and not metric.labels:
                self._metrics[metric.name].labels(archive)
        return _Meter(self._metrics, archive, self._archives.setdefault(archive, {}))

    def readiness(self, now_s: float) -> tuple[bool, str]:
        """Tell whether all archives are looked after, and how each is, a line for each.

        One is if its writer is here and knows how it is with etcd, if this process stands by for it, or if an
        agent keeps a gateway's file from it. *now_s* counts from 1970.
        """
        found = [_readiness(held, now_s) for held in self._archives.values()]
        lines = [f"{archive}: {words}" for archive, (_, words) in zip(self._archives, found, strict=True)]
        return all(is_ready for is_ready, _ in found), "".join(f"{line}\n" for line in lines)


def _collector(metric: Metric, registry: CollectorRegistry) -> Gauge | Counter | Histogram:
    name, labels = PREFIX + metric.name, (ARCHIVE, *metric.labels)
    if metric.type == "histogram":
        return Histogram(name, metric.meaning, labels, buckets=BUCKETS_S, registry=registry)
    return (Gauge if metric.type == "gauge" else Counter)(name, metric.meaning, labels, registry=registry)


def _readiness(held: dict[str, float], now_s: float) -> tuple[bool, str]:
    if "agent_standalone" in held:
        return True, "the agent is at work"
    if held.get("is_writer") == 0:
        return True, "standing by"
    if "is_writer" not in held or "watermark_time_seconds" not in held:
        return False, "not begun"
    behind_s = now_s - held["watermark_time_seconds"]
    return behind_s <= _BEHIND_S, f"writing, known until {behind_s:.0f} s ago"


class _Meter:
    def __init__(
        self, metrics: dict[str, Gauge | Counter | Histogram], archive: str, held: dict[str, float]
    ) -> None:
        self._metrics = metrics
        self._archive = archive
        self._held = held

    def set(self, name: str, value: float) -> None:
        """Let the gauge stand at *value*."""
        known(name, "gauge", ())
        gauge = self._metrics[name].labels(self._archive)
        if isinstance(gauge, Gauge):
            gauge.set(value)
            self._held[name] = value

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Let the counter rise."""
        known(name, "counter", tuple(labels))
        counter = self._metrics[name].labels(self._archive, *labels.values())
        if isinstance(counter, Counter):
            counter.inc(amount)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Put *value* into the histogram."""
        known(name, "histogram", tuple(labels))
        histogram = self._metrics[name].labels(self._archive, *labels.values())
        if isinstance(histogram, Histogram):
            histogram.observe(value)


class _Handler(BaseHTTPRequestHandler):
    timeout = _PATIENCE_S
    server: _Server

    def do_GET(self) -> None:
        """Answer ``/metrics``, ``/healthz`` and ``/readyz``."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encode(self.server.registry.collected), content_type)
        elif path == "/healthz":
            self._answer(200, b"ok\n", "text/plain; charset=utf-8")
        elif path == "/readyz":
            is_ready, words = self.server.registry.readiness(SystemClock().now().timestamp())
            self._answer(200 if is_ready else 503, words.encode(), "text/plain; charset=utf-8")
        else:
            self._answer(404, b"/metrics, /healthz and /readyz are here\n", "text/plain; charset=utf-8")

    def _answer(self, code: int, body: bytes, content_type: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: stderr is the log's."""

    def version_string(self) -> str:
        """Tell nobody which Python this is."""
        return "replicator"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    registry: Registry

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that has gone away."""


class _ServerV6(_Server):
    address_family = socket.AF_INET6


def serve(registry: Registry, host: str, port: int) -> str:
    """Serve *registry* at an address for as long as the process lives; return the address, ``host:port``.

    Raises:
        UsageError: The address can't be had.
    """
    kind = _ServerV6 if ":" in host else _Server
    where = f"[{host}]" if ":" in host else host
    try:
        server = kind((host, port), _Handler)
    except OSError as error:
        raise UsageError(
            f"metrics.listen: can't listen on {where}:{port}: {error.strerror}",
            hint="another process may have it: choose another port, or leave metrics.listen out",
        ) from None
    server.registry = registry
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return f"{where}:{server.server_address[1]}"
