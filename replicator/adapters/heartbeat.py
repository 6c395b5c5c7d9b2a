"""Tell somebody outside, again and again, that what is recorded can be restored; silence is the alarm."""

from __future__ import annotations

import threading
from http.client import HTTPException
from typing import TYPE_CHECKING, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from replicator.ports import Clock
    from replicator.telemetry.metrics import Meter

_EACH_S: Final = 60.0
_TIMEOUT_S: Final = 10
_SIGN: Final = "restorable_time_seconds"


class Heartbeat:
    """A `Meter` that passes all on to *meter*, and asks for *url* when more has become restorable.

    At most once a minute, in a thread of its own: nobody waits for the answer. A failure is logged without
    the URL, whose path often is a secret.
    """

    def __init__(self, meter: Meter, url: str, clock: Clock, log: FilteringBoundLogger) -> None:
        self._behind = meter
        self._url = url
        self._clock = clock
        self._log = log
        self._guard = threading.Lock()
        self._beaten_at: float | None = None

    def set(self, name: str, value: float) -> None:
        """Let the gauge stand at *value*; give a sign if that is the one that says what can be restored."""
        self._behind.set(name, value)
        if name == _SIGN and self._is_due():
            threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Let the counter rise."""
        self._behind.count(name, amount, **labels)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Put *value* into the histogram."""
        self._behind.observe(name, value, **labels)

    def _is_due(self) -> bool:
        now = self._clock.monotonic()
        with self._guard:
            if self._beaten_at is not None and now - self._beaten_at < _EACH_S:
                return False
            self._beaten_at = now
            return True

    def _beat(self) -> None:
        try:
            request = Request(self._url, headers={"User-Agent": "replicator"})  # noqa: S310 (looked at)
            with urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310 (the settings want http or https)
                return
        except HTTPError as error:
            cause = f"it answers {error.code}"
        except URLError as error:
            cause = str(getattr(error.reason, "strerror", None) or error.reason)
        except (OSError, HTTPException, ValueError) as error:
            cause = type(error).__name__
        self._log.warning("heartbeat.missed", cause=cause)
