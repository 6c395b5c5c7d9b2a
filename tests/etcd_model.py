"""A tiny etcd in memory: what every revision changed under a prefix, and what it then held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.core.records import Event, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replicator.core.stamp import Unstamped

Change = tuple[bytes, bytes | None, int]  # a key, its new value (None: delete it), its lease


class EtcdModel:
    """etcd's rules for revisions, versions and leases, for the keys under one prefix.

    Attributes:
        head: The newest revision; a fresh etcd is at 1.
        history: Each revision that changed something under the prefix, with its events.
        states: What was held under the prefix, by revision; one entry for each revision since the first.
    """

    def __init__(self, head: int = 1, live: Mapping[bytes, Record] | None = None) -> None:
        self.head = head
        self.history: list[Unstamped] = []
        self._live = dict(live or {})
        self.states: dict[int, dict[bytes, Record]] = {head: dict(self._live)}

    def transact(self, changes: Iterable[Change]) -> None:
        """Make all *changes*, each of another key, in one revision; none if they change nothing."""
        revision = self.head + 1
        events = tuple(
            self._step(revision, *change)
            for change in changes
            if change[1] is not None or change[0] in self._live
        )
        if events:
            self.history.append((revision, events))
            self.pass_by()

    def put(self, key: bytes, value: bytes, lease: int = 0) -> None:
        """Put one key."""
        self.transact([(key, value, lease)])

    def delete(self, key: bytes, before: bytes | None = None) -> None:
        """Delete one key, or all from *key* up to *before*."""
        doomed = [key] if before is None else sorted(each for each in self._live if key <= each < before)
        self.transact((each, None, 0) for each in doomed)

    def expire(self, lease: int) -> None:
        """Delete all keys that hang on *lease*, in one revision."""
        self.transact((key, None, 0) for key in sorted(self._live) if self._live[key].lease == lease)

    def pass_by(self) -> None:
        """Move the head on without a change under the prefix, as a write elsewhere does."""
        self.head += 1
        self.states[self.head] = dict(self._live)

    def _step(self, revision: int, key: bytes, value: bytes | None, lease: int) -> Event:
        old = self._live.pop(key, None)
        if value is None:
            return Event(key, None)
        born, version = (old.create_revision, old.version + 1) if old else (revision, 1)
        self._live[key] = Record(value, born, revision, version, lease)
        return Event(key, self._live[key])
