"""One connection to one endpoint of etcd: TLS, our token, and the questions that are asked over it.

etcd3 makes the channel. Its own login is not used, since it fetches a token once and never again.
"""

from __future__ import annotations

import errno
import ssl
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc

from replicator.adapters.etcd_messages import messages  # before etcd3, which needs them
from replicator.errors import Compacted, ReplicatorError, SourceUnavailable, UsageError

import etcd3  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# A suspended server is noticed in 8 s: without the ping timeout in 65 s, without keepalive never. etcd
# answers a keepalive below 5 s, and any without a call, with GOAWAY. The pool of subchannels is the
# channel's own: a shared one would have a new connection wait for what an older one has failed at.
_CHANNEL = (
    ("grpc.max_receive_message_length", 256 << 20),
    ("grpc.keepalive_time_ms", 6000),
    ("grpc.keepalive_timeout_ms", 3000),
    ("grpc.http2.ping_timeout_ms", 3000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),
)

# A server that has lost its leader then says so at once, instead of making us wait for one.
_WITH_LEADER = (("hasleader", "true"),)

_LOGIN_S = 5.0

# What etcd says when only the token is at fault: it ran out, or users and roles have changed since.
_STALE_TOKEN = ("invalid auth token", "revision of auth store is old")

_HINTS = {
    grpc.StatusCode.UNAUTHENTICATED: "check etcd.username and etcd.password",
    grpc.StatusCode.PERMISSION_DENIED: "etcd's user needs a role with read permission on the whole prefix",
    grpc.StatusCode.INVALID_ARGUMENT: "check etcd.username and etcd.password, and that etcd has auth enabled",
    grpc.StatusCode.FAILED_PRECONDITION: "etcd has auth disabled: leave out etcd.username and etcd.password",
}
UNREACHABLE = "check etcd.endpoints, and that etcd runs and has a leader"
_OPEN_FILES = "raise the limit of open files: ulimit -n"
_TLS_FILES = "check etcd.cacert, etcd.cert and etcd.key"


@dataclass(frozen=True, slots=True)
class EtcdOptions:
    """How to reach an etcd: endpoint URLs (all http or all https), and who we are. Paths are of PEM files."""

    endpoints: tuple[str, ...]
    username: str = ""
    password: str = field(default="", repr=False)
    cacert: str = ""
    cert: str = ""
    key: str = ""


class Connection:
    """Asks the one etcd server at *endpoint*, with a token of ours where it wants one."""

    def __init__(self, endpoint: str, options: EtcdOptions, patience_s: float) -> None:
        """Connect.

        Raises:
            grpc.RpcError: It doesn't answer our login within *patience_s*, or refuses it.
            OSError: A TLS file can't be read.
        """
        self.endpoint = endpoint
        self._options = options
        self._client = _client(endpoint, options)
        self._metadata: tuple[tuple[str, str], ...] = _WITH_LEADER
        try:
            self._log_in(patience_s)
        except grpc.RpcError:
            self.close()
            raise

    def close(self) -> None:
        """End it, and every call that is under way."""
        self._client.close()

    def version(self, patience_s: float) -> str:
        """Return the server's version; ``unknown`` if etcd doesn't tell it to one like us.

        Raises:
            grpc.RpcError: The server doesn't answer, or refuses us.
        """
        stub, request = self._client.maintenancestub, messages.StatusRequest()
        try:
            status = self._asked(lambda: stub.Status(request, timeout=patience_s, metadata=self._metadata))
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.PERMISSION_DENIED:
                return "unknown"
            raise
        return str(status.version)

    def range(self, patience_s: float, **request: Any) -> Any:
        """Return etcd's answer to a linearizable range; *request* as in etcd's RangeRequest.

        Raises:
            grpc.RpcError: The server doesn't answer, or refuses us.
        """
        stub, asked = self._client.kvstub, messages.RangeRequest(**request)
        return self._asked(lambda: stub.Range(asked, timeout=patience_s, metadata=self._metadata))

    def ranges(self, patience_s: float, requests: Sequence[dict[str, Any]]) -> list[Any]:
        """Return etcd's answers to several ranges of one and the same revision; see `range`.

        Raises:
            grpc.RpcError: The server doesn't answer, or refuses us.
        """
        operations = [
            messages.RequestOp(request_range=messages.RangeRequest(**request)) for request in requests
        ]
        stub, asked = self._client.kvstub, messages.TxnRequest(success=operations)
        answer = self._asked(lambda: stub.Txn(asked, timeout=patience_s, metadata=self._metadata))
        return [response.response_range for response in answer.responses]

    def transact(self, patience_s: float, **request: Any) -> Any:
        """Return etcd's answer to a transaction; *request* as in etcd's TxnRequest. It is sent once only.

        Raises:
            grpc.RpcError: The server doesn't answer, or refuses us.
        """
        stub, asked = self._client.kvstub, messages.TxnRequest(**request)
        return self._asked(lambda: stub.Txn(asked, timeout=patience_s, metadata=self._metadata))

    def watch(self, requests: Iterator[Any]) -> Any:
        """Return the call of a watch stream that sends *requests*; it ends when the server has no leader."""
        return messages.WatchStub(self._client.channel).Watch(requests, metadata=self._metadata)

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """Ask, and once more with another token if ours is of no use any longer."""
        try:
            return ask()
        except grpc.RpcError as error:
            if not self._options.username or not _is_stale(error):
                raise
        self._log_in(_LOGIN_S)
        return ask()

    def _log_in(self, patience_s: float) -> None:
        if not self._options.username:
            return
        request = messages.AuthenticateRequest(name=self._options.username, password=self._options.password)
        stub = messages.AuthStub(self._client.channel)
        token = stub.Authenticate(request, timeout=patience_s, metadata=_WITH_LEADER).token
        self._metadata = (("token", token), *_WITH_LEADER)


def _is_stale(error: grpc.RpcError) -> bool:
    details = error.details() or ""
    return any(words in details for words in _STALE_TOKEN)


def _client(endpoint: str, options: EtcdOptions) -> Any:
    url = urlsplit(endpoint)
    return etcd3.Etcd3Client(
        host=f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname,
        port=url.port or 2379,
        ca_cert=(options.cacert or _system_roots()) if url.scheme == "https" else None,
        cert_cert=options.cert or None,
        cert_key=options.key or None,
        grpc_options=_CHANNEL,
    )


def _system_roots() -> str:
    roots = ssl.get_default_verify_paths().cafile
    if roots is None:
        raise UsageError("this machine has no file of root certificates", hint="set etcd.cacert")
    return roots


@contextmanager
def translated(endpoint: str) -> Iterator[None]:
    """Turn what etcd3 and gRPC raise into the project's errors."""
    try:
        yield
    except grpc.RpcError as error:
        raise _translation(error, endpoint) from None
    except OSError as error:
        hint = _OPEN_FILES if error.errno in (errno.EMFILE, errno.ENFILE) else _TLS_FILES
        raise UsageError(f"{error.filename}: {error.strerror}", hint=hint) from None


def _translation(error: grpc.RpcError, endpoint: str) -> ReplicatorError | Compacted:
    code, details = error.code(), _one_line(error.details() or "")
    if code is grpc.StatusCode.OUT_OF_RANGE and "compacted" in details:
        return Compacted()
    hint = _HINTS.get(code, UNREACHABLE)
    return SourceUnavailable(f"etcd at {endpoint}: {code.name.lower()}: {details}", hint=hint)


def _one_line(details: str) -> str:
    """Return what gRPC says in one line; it may quote what the system said, with bytes that mean nothing."""
    return " ".join("".join(char if char.isprintable() else " " for char in details).split())
