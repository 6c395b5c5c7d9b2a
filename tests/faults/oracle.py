"""What etcd itself tells of its history, before it forgets: an observer that shares no code with the product.

It watches every key over etcd's HTTP gateway. Nobody under test compacts; whoever does waits for it first.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from servers.command import until

from replicator.core.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_PATIENCE_S = 2.0


@dataclass(eq=False)
class Change:
    """A revision: each key that it changed with its record, or None for a delete, and when it was seen."""

    revision: int
    events: dict[bytes, Record | None]
    seen_at: float

    def within(self, prefix: bytes) -> dict[bytes, Record | None]:
        """Return what it changed under *prefix*."""
        return {key: record for key, record in self.events.items() if key.startswith(prefix)}


@dataclass(eq=False)
class Chronicle:
    """One etcd's history, from one data directory: until that is wiped, or an older one put in its place.

    Attributes:
        parent: The history whose first revisions it shares; None if it began with nothing.
        since: Through which revision it shares them.
        own: The revisions behind that.
        head: The last one.
        compactions: When etcd was told to forget, and what was before which revision.
        lost_at: When its data went; None while they are there.
    """

    parent: Chronicle | None = None
    since: int = 0
    own: list[Change] = field(default_factory=list)
    head: int = 0
    compactions: list[tuple[float, int]] = field(default_factory=list)
    lost_at: float | None = None

    def changes(self) -> list[Change]:
        """Return all its revisions in order, those that it shares as well."""
        shared = self.parent.changes() if self.parent else []
        return [*(change for change in shared if change.revision <= self.since), *self.own]

    def forgotten_at(self, revision: int) -> float | None:
        """Return when etcd lost *revision*: to a compaction, or with its data; None if it holds it still."""
        moments = [moment for moment, limit in self.compactions if limit > revision]
        return min([*moments, *([self.lost_at] if self.lost_at is not None else [])], default=None)

    def states(self, prefix: bytes) -> Iterator[tuple[Change, dict[bytes, Record]]]:
        """Yield each revision with what is held under *prefix* after it: one dict, which changes."""
        held: dict[bytes, Record] = {}
        for change in self.changes():
            for key, record in change.within(prefix).items():
                held.pop(key, None) if record is None else held.__setitem__(key, record)
            yield change, held


class Observer:
    """Writes the chronicles of the etcd at *endpoints*, whichever member answers; for a `with` block.

    Attributes:
        chronicles: One for each data directory that there was, in order.
    """

    def __init__(self, endpoints: Sequence[str]) -> None:
        self._endpoints = itertools.cycle(endpoints)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._observe, name="observer", daemon=True)
        self.chronicles = [Chronicle()]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def current(self) -> Chronicle:
        """The chronicle of the etcd that is there now."""
        return self.chronicles[-1]

    def turn(self, parent: Chronicle | None = None, since: int = 0) -> None:
        """Begin another chronicle. etcd is down; its data are exchanged before it comes back."""
        self.current.lost_at = time.monotonic()
        self.chronicles.append(Chronicle(parent, since, head=since))

    def catch_up(self, revision: int) -> None:
        """Wait until *revision* is seen."""
        until(lambda: self.current.head >= revision, f"the observer has seen revision {revision}")

    def _observe(self) -> None:
        while not self._stopping.is_set():
            chronicle = self.current  # before the connection: the etcd of an older one is down for good
            try:
                self._follow(next(self._endpoints), chronicle)
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                self._stopping.wait(0.05)

    def _follow(self, endpoint: str, chronicle: Chronicle) -> None:
        asked = {"key": _text(b"\0"), "range_end": _text(b"\0"), "start_revision": chronicle.head + 1}
        connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=_PATIENCE_S)
        with closing(connection):
            connection.request("POST", "/v3/watch", json.dumps({"create_request": asked}))
            answer = connection.getresponse()
            while not self._stopping.is_set() and (line := answer.readline()):
                result = json.loads(line)["result"]
                assert "compact_revision" not in result, "etcd has forgotten what the observer hasn't seen"
                _take_in(chronicle, result.get("events", ()))


def _take_in(chronicle: Chronicle, events: Iterable[dict[str, Any]]) -> None:
    for event in events:
        kv = event["kv"]
        revision = int(kv["mod_revision"])
        if not chronicle.own or chronicle.own[-1].revision != revision:
            chronicle.own.append(Change(revision, {}, time.monotonic()))
        is_delete = event.get("type") == "DELETE"
        chronicle.own[-1].events[_bytes(kv, "key")] = None if is_delete else _record(kv)
    if chronicle.own:
        chronicle.head = chronicle.own[-1].revision  # last: whoever waits for it finds all of it


def _record(kv: dict[str, str]) -> Record:
    numbers = (int(kv.get(name, 0)) for name in ("create_revision", "mod_revision", "version", "lease"))
    return Record(_bytes(kv, "value"), *numbers)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bytes(kv: dict[str, str], name: str) -> bytes:
    return base64.b64decode(kv.get(name, ""))
