"""Play steps of the story into an etcd, and see when the archive has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from replicator.core.objects import decode_segment
from replicator.demo.admin_api import AdminApi, Heartbeat, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replicator.demo.admin_api import Write
    from replicator.demo.story import Step
    from replicator.ports import Clock, ObjectStore


class Keys(Protocol):
    """An etcd that can be written to. Any method may raise SourceUnavailable."""

    def put(self, key: bytes, value: bytes, lease: int = 0) -> int:
        """Set *key* to *value* on *lease*; return the revision."""

    def delete(self, key: bytes) -> int:
        """Remove *key*; return the revision."""

    def grant(self, ttl_s: int) -> int:
        """Return a new lease of *ttl_s* seconds."""


@dataclass(frozen=True)
class Played:
    """A step that happened: the last revision that it made, and when etcd had taken that."""

    step: Step
    revision: int
    committed_at: datetime


@dataclass(frozen=True)
class Stored:
    """What the archive holds of a revision: its stamp, and the segment that it is in, and since when."""

    observed_at: datetime
    segment: str
    durable_at: datetime


class Player:
    """Writes what APISIX would write."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._admin_api = AdminApi()

    def play(self, step: Step) -> Played:
        """Let *step* happen.

        Raises:
            SourceUnavailable: etcd doesn't take it.
        """
        revision = [self._write(write) for write in step.writes][-1]
        return Played(step, revision, self._clock.now())

    def _write(self, write: Write) -> int:
        value = self._admin_api.value(write, int(self._clock.now().timestamp()))
        if value is None:
            return self._keys.delete(key_of(write))
        lease = self._keys.grant(write.ttl_s) if isinstance(write, Heartbeat) else 0
        return self._keys.put(key_of(write), value, lease)


class Watcher:
    """Knows what the archive in *store* holds, as far as the recorder's log has told."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.stored: dict[int, Stored] = {}
        self.is_recording = False
        self.etcd_version = ""

    def hear(self, news: Iterable[dict[str, Any]]) -> None:
        """Take note of the log's events; read back each segment that became durable.

        Raises:
            ArchiveDamaged: A segment isn't what was written.
        """
        for event in news:
            match event["event"]:
                case "source.connected":
                    self.etcd_version = event["version"]
                case "watch.started":
                    self.is_recording = True
                case "segment.stored":
                    self._read_back(event["object"], datetime.fromisoformat(event["time"]))

    def _read_back(self, name: str, durable_at: datetime) -> None:
        for batch in decode_segment(self._store.get(name), name).batches:
            self.stored[batch.revision] = Stored(batch.observed_at, name, durable_at)
