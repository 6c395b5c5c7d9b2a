"""A model of IAM in front of moto, whose own knows no Resource and no Condition.

It knows what replicator asks of S3 and KMS, and statements that allow; anything else is an error of the test.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from servers.moto import Quiet
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_DENIED = {
    "s3": b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
    "kms": b'{"__type":"AccessDeniedException","message":"not authorized"}',
}
_S3_ACTIONS = {"GET": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}


@dataclass
class Iam:
    """A WSGI application that lets through what *statements* allow; *asked* are the actions it was asked."""

    statements: list[dict[str, Any]] = field(default_factory=list)
    endpoint: str = ""
    asked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Stand before moto."""
        self._application = DomainDispatcherApplication(create_backend_app)

    def allows(self, action: str, resource: str, context: dict[str, str]) -> bool:
        """Tell whether any statement allows *action* on *resource*."""
        return any(
            action in statement["Action"]
            and any(fnmatchcase(resource, pattern) for pattern in statement["Resource"])
            and _holds(statement.get("Condition", {}), context)
            for statement in self.statements
        )

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        action, resource, context = _request(environ)
        self.asked.add(action)
        service = action.partition(":")[0]
        if not self.allows(action, resource, context) or self._is_hidden(action, resource):
            headers = [
                ("Content-Type", "application/xml" if service == "s3" else "application/x-amz-json-1.1")
            ]
            start_response("403 Forbidden" if service == "s3" else "400 Bad Request", headers)
            return [_DENIED[service]]
        return self._application(environ, start_response)

    def _is_hidden(self, action: str, resource: str) -> bool:
        """Tell whether the object is missing, and its reader may not know that."""
        bucket, _, key = resource.removeprefix("arn:aws:s3:::").partition("/")
        if action != "s3:GetObject" or key in s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket].keys:
            return False
        return not self.allows("s3:ListBucket", f"arn:aws:s3:::{bucket}", {})


def _request(environ: dict[str, Any]) -> tuple[str, str, dict[str, str]]:
    """Return the action of a request, the ARN that it is about, and what conditions may speak of."""
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = BytesIO(body)
        asked = json.loads(body)
        context = {
            f"kms:EncryptionContext:{name}": value for name, value in asked["EncryptionContext"].items()
        }
        return f"kms:{target.removeprefix('TrentService.')}", asked["KeyId"], context
    bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    query = parse_qs(environ["QUERY_STRING"])
    if environ["REQUEST_METHOD"] == "GET" and not key:
        return "s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": query.get("prefix", [""])[0]}
    return _S3_ACTIONS[environ["REQUEST_METHOD"]], f"arn:aws:s3:::{bucket}/{key}", {}


def _holds(conditions: dict[str, dict[str, str]], context: dict[str, str]) -> bool:
    assert conditions.keys() <= {"StringEquals"}
    return all(context.get(name) == value for name, value in conditions.get("StringEquals", {}).items())


@contextmanager
def guarded() -> Iterator[Iam]:
    """Serve moto's S3 and KMS behind a policy that allows nothing yet; other servers share their contents."""
    iam = Iam()
    server = make_server("127.0.0.1", 0, iam, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="iam", daemon=True)
    thread.start()
    iam.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield iam
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
