"""A real S3 server over HTTP: moto, in a thread, with the one property of S3 that it lacks.

moto looks and writes in two steps, so two conditional PUTs can both succeed; a lock makes them one. It takes
any credentials.
"""

from __future__ import annotations

import threading
import urllib.request
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.s3.models import s3_backends
from servers.proxy import Answer
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class _AtomicPut:
    """A WSGI application that lets one PUT at a time into another."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._one_at_a_time = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "PUT":
            return self._application(environ, start_response)
        with self._one_at_a_time:
            return self._application(environ, start_response)


@dataclass(frozen=True)
class S3Server:
    """A running server.

    Args:
        endpoint: Its URL, without a slash at the end.
    """

    endpoint: str

    def make_bucket(self) -> str:
        """Create a bucket of a fresh name, and return that."""
        bucket = f"test-{uuid.uuid4().hex}"
        request = urllib.request.Request(f"{self.endpoint}/{bucket}", method="PUT")  # noqa: S310 (http)
        with urllib.request.urlopen(request):  # noqa: S310
            return bucket

    def fill(self, bucket: str, keys: Iterable[str]) -> None:
        """Put empty objects of *keys* into *bucket*, past HTTP: thousands in no time."""
        backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        for key in keys:
            backend.put_object(bucket, key, b"")


def refusal(status: int, code: str) -> Answer:
    """Return an error in S3's own words, for a proxy to give."""
    return Answer(status, f"<Error><Code>{code}</Code><Message>told so</Message></Error>".encode())


class Quiet(MotoRequestHandler):
    """A handler that says nothing on stderr."""

    disable_nagle_algorithm = True

    def log(self, *_: object) -> None:
        """Keep each request off stderr."""


@contextmanager
def running_s3() -> Iterator[S3Server]:
    """Serve S3 on a free port of the loopback."""
    application = _AtomicPut(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="moto", daemon=True)
    thread.start()
    try:
        yield S3Server(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Return a server that all tests of a session share."""
    with running_s3() as server:
        yield server


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    """Return the name of an empty bucket of this test's own."""
    return s3_server.make_bucket()
