"""A store whose requests are counted and timed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from replicator.errors import (
    ArchiveDamaged,
    ObjectChanged,
    ObjectExists,
    ObjectMissing,
    StoreMisconfigured,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.ports import Clock, ObjectStore
    from replicator.telemetry.metrics import Meter

_RESULTS: Final = (  # the first that fits: a misconfigured store is an unavailable one, too
    (ObjectMissing, "missing"),
    (ObjectExists, "exists"),
    (ObjectChanged, "changed"),
    (ArchiveDamaged, "damaged"),
    (StoreMisconfigured, "refused"),
    (StoreUnavailable, "unavailable"),
)


class MeasuredStore:
    """An `ObjectStore` that is *inner*, and tells *meter* how each request ended and how long it took.

    A request is a call with all its repetitions: what somebody waited for. Listing names is one request, and
    its time is the store's, without what is done with the names meanwhile; one that is left before its end
    counts as well.
    """

    def __init__(self, inner: ObjectStore, meter: Meter, clock: Clock) -> None:
        self._inner = inner
        self._meter = meter
        self._clock = clock

    def __str__(self) -> str:
        return str(self._inner)

    def create(self, name: str, body: bytes) -> None:
        """Store *body* under *name*, once: see `ObjectStore.create`."""
        with self._measured("create"):
            self._inner.create(name, body)

    def get(self, name: str) -> bytes:
        """Return the whole object: see `ObjectStore.get`."""
        with self._measured("get"):
            return self._inner.get(name)

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield names in byte order: see `ObjectStore.names`."""
        taken_s, result, told = 0.0, "ok", self._inner.names(prefix, after)
        try:
            while True:
                begun = self._clock.monotonic()
                try:
                    name = next(told, None)
                finally:
                    taken_s += self._clock.monotonic() - begun
                if name is None:
                    return
                yield name
        except Exception as failure:
            result = _result(failure)
            raise
        finally:
            self._tell("names", result, taken_s)

    def delete(self, name: str) -> None:
        """Remove the object: see `ObjectStore.delete`."""
        with self._measured("delete"):
            self._inner.delete(name)

    def replace(self, name: str, old: bytes | None, new: bytes) -> None:
        """Swap the object's bytes in one step: see `ObjectStore.replace`."""
        with self._measured("replace"):
            self._inner.replace(name, old, new)

    @contextmanager
    def _measured(self, operation: str) -> Iterator[None]:
        begun, result = self._clock.monotonic(), "ok"
        try:
            yield
        except Exception as failure:
            result = _result(failure)
            raise
        finally:
            self._tell(operation, result, self._clock.monotonic() - begun)

    def _tell(self, operation: str, result: str, taken_s: float) -> None:
        self._meter.observe("store_request_duration_seconds", taken_s, operation=operation, result=result)


def _result(failure: Exception) -> str:
    return next((name for kind, name in _RESULTS if isinstance(failure, kind)), "unavailable")
