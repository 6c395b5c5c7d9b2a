"""One prefix of an etcd as a `Source`: where it stands, what it held, what happens.

etcd3 makes the connection (TLS, authentication); ranges and the watch are driven here, since etcd3's own
ranges know no revision and its watcher never reconnects and takes a refusal for a success.
"""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc

from replicator.adapters.etcd_messages import messages  # before etcd3, which needs them
from replicator.adapters.etcd_watch import Watch, answers_progress_truly
from replicator.core.records import Record
from replicator.errors import Compacted, ReplicatorError, SourceUnavailable, UsageError
from replicator.ports import SourceStatus

import etcd3  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.ports import Clock, Delivery

_TIMEOUT_S = 5
_RANGE_TIMEOUT_S = 60  # a page of large values takes its time
_PAGE_KEYS = 2000

# A suspended server is noticed in 8 s: without the ping timeout in 65 s, without keepalive never. etcd
# answers a keepalive below 5 s, and any without a call, with GOAWAY.
_CHANNEL = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 6000),
    ("grpc.keepalive_timeout_ms", 3000),
    ("grpc.http2.ping_timeout_ms", 3000),
    ("grpc.http2.max_pings_without_data", 0),
)

_HINTS = {
    grpc.StatusCode.UNAUTHENTICATED: "check etcd.username and etcd.password",
    grpc.StatusCode.PERMISSION_DENIED: "etcd's user needs a role with read permission on the whole prefix",
    grpc.StatusCode.INVALID_ARGUMENT: "check etcd.username and etcd.password, and that etcd has auth enabled",
    grpc.StatusCode.FAILED_PRECONDITION: "etcd has auth disabled: leave out etcd.username and etcd.password",
}
_UNREACHABLE = "check etcd.endpoints, and that etcd runs and has a leader"
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


class EtcdSource:
    """All keys that begin with *prefix* in the etcd that *options* name.

    One connection at a time: `status` (re)connects to the first endpoint that answers, and `read` and
    `watch` use what it found.
    """

    def __init__(self, options: EtcdOptions, prefix: bytes, clock: Clock) -> None:
        self._options = options
        self._prefix = prefix
        self._clock = clock
        self._client: Any = None
        self._version = ""
        self._watch: Watch | None = None
        self._interrupted = threading.Event()

    def status(self) -> SourceStatus:
        """Connect anew, and ask etcd where it stands, linearizably.

        Raises:
            SourceUnavailable: No endpoint answers, or etcd refuses us.
        """
        errors: list[SourceUnavailable] = []
        for endpoint in self._options.endpoints:
            try:
                return self._connect(endpoint)
            except SourceUnavailable as error:
                errors.append(error)
        raise errors[0]

    def read(self, revision: int) -> Iterator[tuple[bytes, Record]]:
        """Yield all keys under the prefix as of *revision*, in byte order, page by page.

        Raises:
            Compacted: etcd no longer holds *revision*.
            SourceUnavailable: etcd doesn't answer, or refuses us.
        """
        start, more = self._prefix, True
        while more:
            page = self._range(start, end_of(self._prefix), revision=revision, limit=_PAGE_KEYS)
            for kv in page.kvs:
                yield kv.key, Record(kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)
            more = page.more
            if more:
                start = page.kvs[-1].key + b"\0"

    def watch(self, after: int) -> Iterator[Delivery]:
        """Yield all that happens under the prefix after revision *after*; ends when `interrupt` is called.

        Raises:
            Compacted: etcd no longer holds what follows *after*.
            SourceUnavailable: The stream was lost, or the watch refused.
        """
        with _translated(self._options.endpoints):
            bounds = (self._prefix, end_of(self._prefix))
            self._watch = Watch(self._client, self._version, bounds, self._clock)
            if self._interrupted.is_set():
                return
            try:
                yield from self._watch.deliveries(after)
            except grpc.RpcError:
                if not self._interrupted.is_set():
                    raise

    def interrupt(self) -> None:
        """End the watch for good, once it has yielded what etcd holds by now; see `Source.interrupt`."""
        self._interrupted.set()
        if self._watch is not None:
            self._watch.finish()

    def neighbour(self) -> bytes | None:
        """Return some key of this etcd, whatever its prefix, or None if there is none or we may not know."""
        try:
            kvs = self._range(b"\0", b"\0", limit=1, keys_only=True).kvs
        except SourceUnavailable:  # a role that may read the prefix alone
            return None
        return kvs[0].key if kvs else None

    def _connect(self, endpoint: str) -> SourceStatus:
        if self._client is not None:
            self._client.close()
        with _translated((endpoint,)):
            self._client = _client(endpoint, self._options)
            self._version = self._client.maintenancestub.Status(
                messages.StatusRequest(), timeout=_TIMEOUT_S, metadata=self._client.metadata
            ).version
        header = self._range(self._prefix, end_of(self._prefix), _TIMEOUT_S, limit=1, keys_only=True).header
        return SourceStatus(
            cluster_id=f"{header.cluster_id:x}",
            version=self._version,
            head=header.revision,
            tells_progress=answers_progress_truly(self._version),
        )

    def _range(self, key: bytes, range_end: bytes, timeout_s: int = _RANGE_TIMEOUT_S, **options: Any) -> Any:
        request = messages.RangeRequest(key=key, range_end=range_end, **options)
        with _translated(self._options.endpoints):
            return self._client.kvstub.Range(request, timeout=timeout_s, metadata=self._client.metadata)


def end_of(prefix: bytes) -> bytes:
    """Return the first key after all that begin with *prefix*, as etcd's ranges want it."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else b"\0"


def _client(endpoint: str, options: EtcdOptions) -> Any:
    url = urlsplit(endpoint)
    return etcd3.Etcd3Client(
        host=f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname,
        port=url.port or 2379,
        ca_cert=(options.cacert or _system_roots()) if url.scheme == "https" else None,
        cert_cert=options.cert or None,
        cert_key=options.key or None,
        timeout=_TIMEOUT_S,
        user=options.username or None,
        password=options.password or None,
        grpc_options=_CHANNEL,
    )


def _system_roots() -> str:
    roots = ssl.get_default_verify_paths().cafile
    if roots is None:
        raise UsageError("this machine has no file of root certificates", hint="set etcd.cacert")
    return roots


@contextmanager
def _translated(endpoints: tuple[str, ...]) -> Iterator[None]:
    """Turn what etcd3 and gRPC raise into the project's errors."""
    try:
        yield
    except grpc.RpcError as error:
        raise _translation(error, ", ".join(endpoints)) from None
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}", hint=_TLS_FILES) from None


def _translation(error: grpc.RpcError, endpoints: str) -> ReplicatorError | Compacted:
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.OUT_OF_RANGE and "compacted" in details:
        return Compacted()
    hint = _HINTS.get(code, _UNREACHABLE)
    return SourceUnavailable(f"etcd at {endpoints}: {code.name.lower()}: {details}", hint=hint)
