"""Store an object, however long the store is away: what was recorded is worth waiting for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.errors import ObjectExists, StoreUnavailable, WriterFenced

if TYPE_CHECKING:
    from threading import Event

    from replicator.flows.lease import Lease
    from replicator.flows.link import Link

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0


class Persistence:
    """Creates objects of the log. It tries again for ever; once more when *closing* is set while it waits.

    The adapters have their own short patience with hiccups; this one is for outages. After one, or after this
    process was suspended, *lease* is confirmed first: a writer that was away too long must not go on.
    """

    def __init__(self, link: Link, closing: Event, lease: Lease | None = None) -> None:
        self._store, self._log, self._meter = link.store, link.log, link.meter
        self._closing = closing
        self._lease = lease

    def create(self, name: str, body: bytes, *, is_final: bool = False) -> None:
        """Store *body* under *name*; durable when this returns.

        Args:
            name: The object's.
            body: Its bytes.
            is_final: Whether it ends what another may be extending: the lease is then proved in any case.

        Raises:
            WriterFenced: Another writer has taken the name, or the lease.
            StoreUnavailable: The store is still away, and we are to end.
        """
        delay_s = _FIRST_DELAY_S
        while True:
            try:
                if self._lease is not None:
                    self._lease.prove() if is_final else self._lease.confirm()
                self._store.create(name, body)
                # If that took long, another may have read the log before it came, and know nothing of it: it
                # isn't to be counted on then, and its copy in the spool must stay.
                if self._lease is not None:
                    self._lease.confirm()
            except ObjectExists:
                raise WriterFenced(
                    f"another writer has stored {name}: this one must not go on",
                    hint="it stands by from now on, if it may",
                ) from None
            except StoreUnavailable as error:
                self._meter.count("store_failures_total", operation="create")
                if self._closing.is_set():  # be it since this call began: that may have taken a minute
                    raise
                self._log.error("store.unavailable", object=name, cause=str(error), retry_in_s=delay_s)
            else:
                return
            self._closing.wait(delay_s)
            delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
