"""Whether the control plane is well: etcd answers linearizable reads, and for how long it has, or hasn't."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.errors import ReplicatorError

if TYPE_CHECKING:
    from replicator.ports import Clock, ControlPlane

# A question that is unanswered for so long has failed, however long the probe goes on to ask other endpoints.
_UNANSWERED_S = 2.0

# What has been so for no time yet.
_JUST_NOW_S = 0.001


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the probes have said.

    Both durations are those that were seen: an outage lasts from the moment when the first probe has failed
    to the beginning of the last one, or for as long as that is unanswered; health from the end of the first
    probe that passed to that of the last. So neither is overstated, however long a probe takes.

    Attributes:
        failing_s: For how long all have failed; 0 if the last one passed, or none was made yet.
        healthy_s: For how long all have passed; 0 if the last one failed, or none was made yet.
        failure: What the last one said; empty if it passed.
        is_empty: Whether etcd answers, and holds no resource under the prefix.
    """

    failing_s: float = 0.0
    healthy_s: float = 0.0
    failure: str = ""
    is_empty: bool = False


class Health:
    """Asks *plane*: `probe` by a thread of its own, since a hanging etcd may hang it; `pulse` from any.

    While this process was suspended itself it has seen nothing: between two looks counts *interval_s*, the
    time between two probes, and 2 s at most.
    """

    def __init__(self, plane: ControlPlane, interval_s: float, clock: Clock) -> None:
        self._plane = plane
        self._longest_step_s = interval_s + _UNANSWERED_S
        self._clock = clock
        self._guard, self._asking = threading.Lock(), threading.Lock()
        self._asked_at: float | None = None
        self._is_well: bool | None = None
        self._last = self._lasting_s = 0.0
        self._failure = ""
        self._is_empty = False

    def probe(self) -> None:
        """Ask once, when nobody else does any more."""
        with self._asking:
            self._probe()

    def _probe(self) -> None:
        began_at = self._clock.monotonic()
        with self._guard:
            self._asked_at = began_at
        failure, is_empty = "", False
        try:
            is_empty = not self._plane.probe()
        except ReplicatorError as error:
            failure = str(error)
        ended_at = self._clock.monotonic()
        with self._guard:
            self._asked_at = None
            self._failure, self._is_empty = failure, is_empty
            self._note(is_well=not failure, first=ended_at, last=began_at if failure else ended_at)

    def pulse(self) -> Pulse:
        """Return what is known now."""
        now = self._clock.monotonic()
        with self._guard:
            fails_since = None if self._asked_at is None else self._asked_at + _UNANSWERED_S
            if fails_since is not None and now > fails_since:
                self._failure = self._failure or "etcd doesn't answer"
                self._note(is_well=False, first=fails_since, last=now)
            if self._is_well is None:
                return Pulse()
            lasting_s = max(_JUST_NOW_S, self._lasting_s)
            if self._is_well:
                return Pulse(healthy_s=lasting_s, is_empty=self._is_empty)
            return Pulse(failing_s=lasting_s, failure=self._failure)

    def is_well(self) -> bool:
        """Tell whether etcd answers at this very moment; if the last probe has failed, it isn't asked."""
        if self.pulse().failing_s > 0 or not self._asking.acquire(timeout=_UNANSWERED_S):
            return False
        try:
            self._probe()
        finally:
            self._asking.release()
        return self.pulse().healthy_s > 0

    def _note(self, *, is_well: bool, first: float, last: float) -> None:
        if is_well is not self._is_well:
            self._is_well, self._last, self._lasting_s = is_well, first, 0.0
        elif last > self._last:
            self._lasting_s += min(last - self._last, self._longest_step_s)
            self._last = last
