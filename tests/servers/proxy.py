"""A proxy that fails on purpose, in front of any HTTP/1.1 server.

Requests pass unchanged, the Host header with them, so that signatures hold. One entry of a script decides
each request's fate; after its end all requests pass.
"""

from __future__ import annotations

import enum
import http.client
import random
import socket
import struct
import sys
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_OF_A_CONNECTION = {"connection", "expect", "keep-alive", "transfer-encoding"}


class Fault(enum.Enum):
    """What can happen to a request."""

    NONE = enum.auto()
    BUSY = enum.auto()  # 503, nothing forwarded
    RESET = enum.auto()  # the connection is reset, nothing forwarded
    ACK_LOST = enum.auto()  # forwarded and done, the answer dropped
    HANG = enum.auto()  # nothing forwarded, no answer
    TRUNCATED = enum.auto()  # half of the answer's body, then the end of the connection
    FLIPPED = enum.auto()  # one bit of the answer's body is another


@dataclass(frozen=True)
class Answer:
    """An answer that the proxy gives by itself, in place of the server."""

    status: int
    body: bytes = b""
    media_type: str = "application/xml"

    def __str__(self) -> str:
        return str(self.status)


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]


def at_random(seed: int, faults: Iterable[Fault], share: float) -> Iterator[Fault]:
    """Yield, without an end, one of *faults* for a *share* of the requests."""
    dice, kinds = random.Random(seed), list(faults)
    while True:
        yield dice.choice(kinds) if dice.random() < share else Fault.NONE


class FaultProxy(ThreadingHTTPServer):
    """See the module; `faulty` starts one.

    Args:
        upstream: URL of the server behind it.
        faults: One entry for each request, in the order of their arrival.
        dropped_headers: Names, in lower case, of request headers that aren't passed on.
    """

    daemon_threads = True

    def __init__(
        self, upstream: str, faults: Iterable[Fault | Answer] = (), dropped_headers: Iterable[str] = ()
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.dropped_headers = _OF_A_CONNECTION | set(dropped_headers)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.closing = threading.Event()
        self.seen: list[Seen] = []
        self._faults, self._next = iter(faults), threading.Lock()

    @property
    def methods(self) -> list[str]:
        """The methods of the requests seen, in the order of their arrival."""
        return [seen.method for seen in self.seen]

    def follow(self, faults: Iterable[Fault | Answer]) -> None:
        """Begin a new script, and forget what was seen."""
        with self._next:
            self._faults = iter(faults)
            self.seen.clear()

    def fate(self, request: Seen) -> Fault | Answer:
        """Return what happens to *request*, and note that it came."""
        with self._next:
            self.seen.append(request)
            return next(self._faults, Fault.NONE)

    def shutdown_request(self, request: socket.socket) -> None:
        """Close without the orderly end that would turn a reset into an empty answer."""
        self.close_request(request)

    def handle_error(self, request: socket.socket, client_address: object) -> None:
        """Pass over a client that went away, which is what faults do to clients."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement
    server: FaultProxy

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match self.server.fate(Seen(self.command, self.path, dict(self.headers))):
            case Answer(status, answer_body, media_type):
                self._answer(status, [("Content-Type", media_type)], answer_body)
            case Fault.BUSY:
                self._answer(503, [], b"")
            case Fault.RESET:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
            case Fault.HANG:
                self.server.closing.wait()
                self.close_connection = True
            case fault:
                self._forward(body, fault)

    do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 (the names that http.server looks for)

    def _forward(self, body: bytes, fault: Fault) -> None:
        status, headers, answer = self._ask(body)
        if fault is Fault.ACK_LOST:
            self.close_connection = True
        elif fault is Fault.TRUNCATED:
            self._answer(status, headers, answer, sent=len(answer) // 2)
            self.close_connection = True
        elif fault is Fault.FLIPPED:
            self._answer(status, headers, answer[:-1] + bytes(byte ^ 1 for byte in answer[-1:]))
        else:
            self._answer(status, headers, answer)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection(self.server.upstream)
        with closing(upstream):
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in self.server.dropped_headers:
                    upstream.putheader(name, value)
            upstream.endheaders(body or None)
            response = upstream.getresponse()
            return response.status, response.getheaders(), response.read()

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, sent: int | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _OF_A_CONNECTION | {"content-length"}:
                self.send_header(name, value)
        if status not in {204, 304}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:sent])

    def log_message(self, *_: object) -> None:
        """Keep each request off stderr."""


@contextmanager
def faulty(
    upstream: str, faults: Iterable[Fault | Answer] = (), dropped_headers: Iterable[str] = ()
) -> Iterator[FaultProxy]:
    """Run a proxy in front of *upstream* on a free port of the loopback."""
    proxy = FaultProxy(upstream, faults, dropped_headers)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.02,), name="proxy", daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.closing.set()
        proxy.shutdown()
        thread.join()
        proxy.server_close()
