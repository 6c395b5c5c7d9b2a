"""The archive from Python: ``from replicator import Archive``.

    archive = Archive.open("s3://bucket/path")
    before = archive.at("-15m")
    print(before.get("routes/1"))
    for change in archive.history("routes/1", since="-2h"):
        print(change.observed_at, change.revision)
    for key_change in archive.diff("-1d", "latest"):
        print(key_change.key)

It reads the archive alone, and raises what the commands would tell: see `replicator.errors`.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import structs

from replicator import wiring
from replicator.apisix import Options, render
from replicator.apisix.fields import document_of
from replicator.apisix.resource import parse_one, parse_resource
from replicator.config import ArchiveUrl, load
from replicator.core.plan import AtRevision, AtTime, Target
from replicator.core.scan import Selection
from replicator.errors import UsageError
from replicator.flows import keyspace
from replicator.flows.changes import EVERYTHING, Break, Change, History, KeyChange
from replicator.flows.moments import parse_moment
from replicator.flows.open_archive import open_archive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from replicator.core.records import Record
    from replicator.flows.keyspace import Keyspace
    from replicator.ports import ObjectStore

__all__ = ["Archive", "Break", "Change", "KeyChange", "Moment", "State"]

Moment: TypeAlias = str | int | datetime
"""A time (aware, or as text: RFC 3339, ``-15m``), a revision of etcd, ``latest``, or ``point:NAME``."""


class State:
    """All keys at one moment, proved against the writer's digest."""

    def __init__(self, found: Keyspace, prefix: str) -> None:
        self._found = found
        self._prefix = prefix

    def __repr__(self) -> str:
        return f"<State of {len(self._found.state)} keys at revision {self.revision}>"

    @property
    def revision(self) -> int:
        """The last change in it, as etcd counts."""
        return self._found.state.revision

    @property
    def observed_at(self) -> datetime | None:
        """The stamp of that revision, aware and in UTC."""
        return self._found.observed_at

    @property
    def late_by_s(self) -> float:
        """By how many seconds the answer to a time may be off; 0 if all was seen live."""
        return self._found.late_by_s

    def diff(self, other: State) -> list[KeyChange]:
        """Return each key whose value isn't the same in *other*."""
        return list(keyspace.differing(self._found.state, other._found.state))

    def records(self) -> Iterator[tuple[bytes, Record]]:
        """Yield all keys with their records, in byte order: values are etcd's own bytes."""
        return self._found.state.items()

    def get(self, resource: str) -> Any:
        """Return the document of *resource* (``routes/1``); None if it wasn't there.

        Raises:
            UsageError: *resource* names none.
        """
        record = self._found.state.get(parse_one(resource).key(self._prefix.encode()))
        return None if record is None else document_of(record.value)

    def standalone_yaml(self, options: Options | None = None) -> bytes:
        """Return the gateway's apisix.yaml of this moment; *options* say what is known of the gateway."""
        known = options or Options(prefix=self._prefix.rstrip("/").encode())
        items = ((key, record.value) for key, record in self.records())
        return b"".join(render(items, known).chunks())


class Archive:
    """An archive of a gateway's configuration; open one with `Archive.open`."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.prefix = open_archive(store).archive.prefix

    @classmethod
    def open(cls, url: str, settings: Path | None = None) -> Archive:
        """Open the archive at *url*: ``file:///dir`` or ``s3://bucket/path``.

        Args:
            url: Where it is.
            settings: A settings file, for the store's credentials, endpoint and encryption; the
                environment's REPLICATOR_* stand above it.

        Raises:
            UsageError: The URL or a setting is wrong, or there is no archive.
            StoreUnavailable: The store doesn't answer.
        """
        found = structs.replace(load(settings, os.environ), archive=ArchiveUrl.parse(url))
        return cls(wiring.store(found))

    def at(self, moment: Moment = "latest") -> State:
        """Return the keys at *moment*.

        Raises:
            UsageError: *moment* is none.
            TargetNotRestorable: The archive doesn't cover it.
            ArchiveDamaged: What is needed for it is missing, or isn't what was written.
        """
        return State(keyspace.at(self._store, self._target(moment)), self.prefix)

    def history(
        self, resource: str | None = None, since: Moment | None = None, until: Moment | None = None
    ) -> Iterator[Change | Break]:
        """Yield what happened to *resource* (``routes/1``, or a type; all, if left out), in order.

        Args:
            resource: Which resource or type.
            since: What lies before this moment is left out.
            until: What lies behind it is.

        Raises:
            UsageError: *resource* or a moment is none.
            ArchiveDamaged: What is needed is missing, or isn't what was written.
        """
        selection = EVERYTHING
        if resource is not None:
            parsed = parse_resource(resource)
            selection = Selection(parsed.key(self.prefix.encode()), is_whole=parsed.is_one)
        first = None if since is None else _from(self._target(since))
        last = None if until is None else self._target(until)
        return History(self._store, selection, first, last).read()

    def diff(self, one: Moment, other: Moment = "latest") -> list[KeyChange]:
        """Return each key whose value isn't the same at both moments; it raises as `at` does."""
        return self.at(one).diff(self.at(other))

    def _target(self, moment: Moment) -> Target:
        if isinstance(moment, datetime):
            if moment.tzinfo is None:
                raise UsageError(
                    f'"{moment}" is no moment: it has no zone', hint="make it aware: datetime.now(UTC), say"
                )
            return AtTime(moment)
        if isinstance(moment, int):
            return AtRevision(moment)
        return parse_moment(moment, self._store, wiring.SystemClock().now().astimezone())


def _from(target: Target) -> Target:
    """Return *target* as the first moment that is still meant."""
    match target:
        case AtTime(moment):
            return AtTime(moment, exclusive=True)
        case AtRevision(revision, epoch):
            return AtRevision(revision - 1, epoch)
        case _:
            return target
