"""Whether the control plane is well: etcd answers linearizable reads, and for how long it has, or hasn't."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.errors import ReplicatorError
from replicator.flows.begin import holds_keys

if TYPE_CHECKING:
    from replicator.ports import Clock, Source

# A probe has a patience of its own; one that takes longer than this hangs.
_HANGING_S = 10.0


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the probes have said.

    Attributes:
        failing_s: For how long all have failed; 0 if the last one passed, or none was made yet.
        healthy_s: For how long all have passed; 0 if the last one failed, or none was made yet.
        failure: What the last one said; empty if it passed.
        is_empty: Whether etcd answers, and has no key under the prefix.
    """

    failing_s: float = 0.0
    healthy_s: float = 0.0
    failure: str = ""
    is_empty: bool = False


class Health:
    """Probes *source* each *interval_s* seconds, in a thread of its own: a hanging etcd delays nobody."""

    def __init__(self, source: Source, interval_s: float, clock: Clock) -> None:
        self._source = source
        self._interval_s = interval_s
        self._clock = clock
        self._guard = threading.Lock()
        self._since: float | None = None
        self._asked_at: float | None = None
        self._failure = ""
        self._is_empty = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def start(self) -> None:
        """Begin to probe."""
        self._thread.start()

    def finish(self) -> None:
        """Probe no more; a probe under way isn't waited for."""
        self._ending.set()

    def pulse(self) -> Pulse:
        """Return what is known now."""
        now = self._clock.monotonic()
        with self._guard:
            if self._asked_at is not None and now - self._asked_at > _HANGING_S and not self._failure:
                return Pulse(failing_s=now - self._asked_at, failure="etcd doesn't answer")
            if self._since is None:
                return Pulse()
            lasting_s = now - self._since
            if self._failure:
                return Pulse(failing_s=lasting_s, failure=self._failure)
            return Pulse(healthy_s=lasting_s, is_empty=self._is_empty)

    def probe(self) -> None:
        """Ask once."""
        began_at, failure, is_empty = self._clock.monotonic(), "", False
        self._asked_at = began_at
        try:
            self._source.status()
            is_empty = not holds_keys(self._source)
        except ReplicatorError as error:
            failure = str(error)
        with self._guard:
            if self._since is None or bool(failure) != bool(self._failure):
                # A failure counts from when it was asked: it may have taken its patience to show.
                self._since = began_at
            self._failure, self._is_empty, self._asked_at = failure, is_empty, None

    def _run(self) -> None:
        while not self._ending.is_set():
            self.probe()
            self._ending.wait(self._interval_s)
