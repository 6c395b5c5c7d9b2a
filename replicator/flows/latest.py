"""Keep one object in plain form beside an archive: the newest state, for what can only fetch one file."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from replicator.core.quantities import format_time
from replicator.core.records import Position
from replicator.errors import ObjectChanged, ObjectMissing, ReplicatorError, WriterFenced

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from structlog.typing import FilteringBoundLogger

    from replicator.core.state import State
    from replicator.ports import ObjectStore

RESOURCES: Final = "latest/apisix.yaml"
CONFIG: Final = "latest/config.yaml"

_SAID = re.compile(rb"#(?: replicator:)? revision (\d{1,19}) of epoch (\d{1,8}),")
_RETRY_S = 10.0


@dataclass(frozen=True, slots=True)
class LatestObject:
    """What is kept.

    Attributes:
        store: Where: the archive's place, but never behind its encryption.
        name: The object's.
        render: Makes it of a state, with a comment that begins with the line it is given; None if the state
            holds nothing to keep.
    """

    store: ObjectStore
    name: str
    render: Callable[[State, str], bytes | None]


@dataclass(frozen=True, slots=True)
class _Offer:
    position: Position
    moment: datetime
    state: State


class Publisher:
    """Keeps *latest* as new as what is offered, in a thread of its own; with None it keeps nothing.

    What is there is replaced only by what is newer, or the same made otherwise, and in one step: whoever is
    late takes nothing back. *prove* raises WriterFenced if the lease isn't ours.
    """

    def __init__(
        self, latest: LatestObject | None, log: FilteringBoundLogger, prove: Callable[[], None]
    ) -> None:
        self._latest = latest
        self._prove = prove
        self._log = log
        self._changed = threading.Condition()
        self._offer: _Offer | None = None
        self._is_ending = False
        self._thread: threading.Thread | None = None

    def offer(self, position: Position, moment: datetime, state: State) -> None:
        """Let the object become *state*, which nobody changes any more, as soon as the store allows."""
        if self._latest is None:
            return
        with self._changed:
            self._offer = _Offer(position, moment, state)
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, args=(self._latest,), name="latest", daemon=True
            )
            self._thread.start()

    def finish(self) -> None:
        """Store what was offered, unless the store is away; then end."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self, latest: LatestObject) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._offer is not None or self._is_ending)
                offer, self._offer = self._offer, None
            if offer is None:
                return
            try:
                self._publish(latest, offer)
            except WriterFenced:  # the term finds out by itself
                continue
            except ReplicatorError as error:
                self._log.warning("latest.missed", object=latest.name, cause=str(error), retry_in_s=_RETRY_S)
                self._wait_to_retry(offer)

    def _wait_to_retry(self, offer: _Offer) -> None:
        """Wait, and take up *offer* again, unless a newer one has come or we are to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._offer is not None or self._is_ending, _RETRY_S)
            if not self._is_ending:
                self._offer = self._offer or offer

    def _publish(self, latest: LatestObject, offer: _Offer) -> None:
        position = offer.position
        line = f"revision {position.revision} of epoch {position.epoch}, {format_time(offer.moment)}"
        body = latest.render(offer.state, line)
        while body is not None:
            held = _held(latest)
            if held == body or (held is not None and said(held) > position):
                return
            self._prove()
            try:
                latest.store.replace(latest.name, held, body)
            except ObjectChanged:
                continue
            self._log.info(
                "latest.stored", object=latest.name, revision=position.revision, size_bytes=len(body)
            )
            return


def said(body: bytes) -> Position:
    """Return the position that *body*'s first or last line names in a comment; the very first if none is."""
    for line in (body.rstrip(b"\n").rpartition(b"\n")[2], body.partition(b"\n")[0]):
        if match := _SAID.match(line):
            return Position(int(match[2]), int(match[1]))
    return Position(0, 0)


def with_comment(body: bytes, line: str) -> bytes:
    """Return the YAML *body* with *line* as a comment at its end."""
    return body + (b"" if body.endswith(b"\n") or not body else b"\n") + f"# replicator: {line}\n".encode()


def _held(latest: LatestObject) -> bytes | None:
    try:
        return latest.store.get(latest.name)
    except ObjectMissing:
        return None
