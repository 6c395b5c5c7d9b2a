"""One prefix of an etcd as a `Source`: where it stands, what it held, what happens.

Ranges and the watch are driven here: etcd3's own ranges know no revision, and its watcher never reconnects
and takes a refusal for a success.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc

from replicator.adapters.etcd_connection import UNREACHABLE, Connection, EtcdOptions, translated
from replicator.adapters.etcd_pages import PageSize
from replicator.adapters.etcd_transaction import changed_since, guarded, unwritten
from replicator.adapters.etcd_watch import Watch, answers_progress_truly
from replicator.core.records import Record
from replicator.errors import SourceUnavailable, UsageError
from replicator.ports import SourceStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replicator.core.rewriting import Step
    from replicator.ports import Clock, Delivery

__all__ = ["EtcdOptions", "EtcdSource", "end_of"]

_PAGE_PATIENCE_S = 60.0  # a page of large values takes its time

# For each question, where other endpoints wait to be asked, and where this is the last one. So a round over
# three of which none answers takes 9 s.
_PATIENCE_S = 2.0
_LAST_PATIENCE_S = 5.0


class EtcdSource:
    """All keys that begin with *prefix* in the etcd that *options* name.

    One connection at a time: `status` (re)connects, and `read` and `watch` use what it found. It stays with
    an endpoint until that fails; then it asks the ones behind it first. `probe` looks for keys below each of
    *folders*, which follow the prefix and end with a slash.
    """

    def __init__(
        self, options: EtcdOptions, prefix: bytes, clock: Clock, folders: Sequence[str] = ()
    ) -> None:
        self._options = options
        self._prefix = prefix
        self._folders = [prefix + folder.encode() for folder in folders]
        self._clock = clock
        self._next = 0
        self._connection: Connection | None = None
        self._has_connected = False
        self._version = ""
        self._watch: Watch | None = None
        self._status: SourceStatus | None = None
        self._interrupted = threading.Event()

    def status(self) -> SourceStatus:
        """Connect anew, and ask etcd where it stands, linearizably.

        Raises:
            SourceUnavailable: No endpoint answers, or etcd refuses us.
            UsageError: A TLS file can't be read. Only until a first connection: what is exchanged later
                comes back.
        """
        failures: list[SourceUnavailable] = []
        for left in range(len(self._options.endpoints), 0, -1):
            try:
                return self._connect(_PATIENCE_S if left > 1 else _LAST_PATIENCE_S)
            except UsageError as error:
                if not self._has_connected:
                    raise
                failures.append(SourceUnavailable(str(error), hint=error.hint))
            except SourceUnavailable as error:
                failures.append(error)
            self._pass_on()
        raise _together(failures)

    def probe(self) -> bool:
        """Tell whether etcd holds a key in one of the folders, by a linearizable read.

        The connection that stands is used as long as it works: a handshake and a login for each question
        would cost a cluster with many gateways more than the questions do.

        Raises:
            SourceUnavailable: No endpoint answers, or etcd refuses us.
            UsageError: As `status` does.
        """
        connection = self._connection
        if connection is None:
            self.status()
            return self._has_key(_LAST_PATIENCE_S)
        try:
            with self._failing(connection):
                return self._has_key(_PATIENCE_S)
        except SourceUnavailable:
            self.status()
            return self._has_key(_LAST_PATIENCE_S)

    def _has_key(self, patience_s: float) -> bool:
        connection = self._connected()
        # The folder's own name is a key as well: the placeholder that APISIX writes into an empty etcd.
        ranges = [
            {"key": folder + b"\0", "range_end": end_of(folder), "limit": 1, "keys_only": True}
            for folder in self._folders
        ]
        with translated(connection.endpoint):
            return any(answer.kvs for answer in connection.ranges(patience_s, ranges))

    def read(self, revision: int) -> Iterator[tuple[bytes, Record]]:
        """Yield all keys under the prefix as of *revision*, in byte order, page by page.

        Raises:
            Compacted: etcd no longer holds *revision*.
            SourceUnavailable: etcd doesn't answer, or refuses us.
        """
        start, more, size = self._prefix, True, PageSize()
        while more:
            page = self._page(start, revision, size)
            size_bytes = 0
            for kv in page.kvs:
                record = Record(kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)
                size_bytes += len(kv.key) + len(record.value)
                yield kv.key, record
            more = page.more
            if more:
                size.note(len(page.kvs), size_bytes)
                start = page.kvs[-1].key + b"\0"

    def watch(self, after: int) -> Iterator[Delivery]:
        """Return all that happens under the prefix after revision *after*: see `Source.watch`.

        Raises:
            Compacted: etcd no longer holds what follows *after*.
            SourceUnavailable: The watch was refused; or, later, the stream was lost.
        """
        connection = self._connected()
        bounds = (self._prefix, end_of(self._prefix))
        watch = Watch(connection, bounds, self._clock, asks=answers_progress_truly(self._version))
        if self._interrupted.is_set():
            return iter(())
        self._watch = watch
        with self._failing(connection):
            self._check_same(watch.begin(after))
        return self._deliveries(connection, watch, after)

    def _deliveries(self, connection: Connection, watch: Watch, after: int) -> Iterator[Delivery]:
        if self._interrupted.is_set():  # between the two lines above
            watch.finish()
        with self._failing(connection):
            try:
                yield from watch.deliveries(after)
            except (grpc.RpcError, SourceUnavailable):
                if not self._interrupted.is_set():
                    raise

    def interrupt(self) -> None:
        """End the watch for good, once it has yielded what etcd holds by now; see `Source.interrupt`."""
        self._interrupted.set()
        watch = self._watch
        if watch is not None:
            watch.finish()

    def transact(self, steps: Sequence[Step]) -> Sequence[bytes]:
        """Do *steps* in one transaction, unless a key isn't as it was seen: see `Rewritable.transact`.

        Raises:
            SourceUnavailable: etcd doesn't answer, or refuses us.
        """
        connection = self._connected()
        try:
            with translated(connection.endpoint):
                answer = connection.transact(_PAGE_PATIENCE_S, **guarded(steps))
        except SourceUnavailable as error:
            raise unwritten(error) from None
        return [] if answer.succeeded else changed_since(steps, answer)

    def neighbour(self) -> bytes | None:
        """Return some key of this etcd, whatever its prefix, or None if there is none or we may not know."""
        try:
            kvs = self._range(_PAGE_PATIENCE_S, key=b"\0", range_end=b"\0", limit=1, keys_only=True).kvs
        except SourceUnavailable:  # a role that may read the prefix alone
            return None
        return kvs[0].key if kvs else None

    def _connect(self, patience_s: float) -> SourceStatus:
        if self._watch is not None:
            self._watch.end()
            self._watch = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        endpoint = self._options.endpoints[self._next]
        with translated(endpoint):
            connection = self._connection = Connection(endpoint, self._options, patience_s)
            self._version = connection.version(patience_s)
            bounds = {"key": self._prefix, "range_end": end_of(self._prefix)}
            header = connection.range(patience_s, **bounds, limit=1, keys_only=True).header
        self._has_connected = True
        self._status = SourceStatus(
            cluster_id=f"{header.cluster_id:x}",
            version=self._version,
            head=header.revision,
            tells_progress=answers_progress_truly(self._version),
        )
        return self._status

    def _check_same(self, header: Any) -> None:
        """Make sure that who began the watch is who told where it stands: gRPC reconnects without a word."""
        known = self._status
        if known and (f"{header.cluster_id:x}" != known.cluster_id or header.revision < known.head):
            raise SourceUnavailable(
                f"etcd at {self._connected().endpoint} was exchanged while it was asked", hint=UNREACHABLE
            )

    def _page(self, start: bytes, revision: int, size: PageSize) -> Any:
        """Return the page from *start*; a smaller one than *size* says, if that is more than can be sent."""
        bounds = {"key": start, "range_end": end_of(self._prefix), "revision": revision}
        connection = self._connected()
        with self._failing(connection):
            while True:
                try:
                    return connection.range(_PAGE_PATIENCE_S, **bounds, limit=size.keys)
                except grpc.RpcError as error:
                    if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED or not size.shrink():
                        raise

    def _range(self, patience_s: float, **request: Any) -> Any:
        connection = self._connected()
        with translated(connection.endpoint):
            return connection.range(patience_s, **request)

    def _connected(self) -> Connection:
        if self._connection is None:
            raise SourceUnavailable("etcd is not connected", hint=UNREACHABLE)
        return self._connection

    @contextmanager
    def _failing(self, connection: Connection) -> Iterator[None]:
        """Translate errors, and let the next `status` begin with another endpoint after one."""
        try:
            with translated(connection.endpoint):
                yield
        except SourceUnavailable:
            self._pass_on()
            raise

    def _pass_on(self) -> None:
        self._next = (self._next + 1) % len(self._options.endpoints)


def end_of(prefix: bytes) -> bytes:
    """Return the first key after all that begin with *prefix*, as etcd's ranges want it."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else b"\0"


def _together(failures: list[SourceUnavailable]) -> SourceUnavailable:
    """Return one error that says what each endpoint has said, with the hint of the one that said most."""
    hints = [failure.hint for failure in failures]
    told = next((hint for hint in hints if hint != UNREACHABLE), UNREACHABLE)
    return SourceUnavailable("; ".join(map(str, failures)), hint=told)
