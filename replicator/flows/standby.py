"""Wait for one's turn to write, and take over from a writer that is gone, suspended or cut off.

No two clocks are compared: whoever waits counts, on its own clock, how long the holder's last sign stays the
last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from replicator.core import documents, names
from replicator.core.documents import Checkpoint
from replicator.core.documents import Lease as Claim
from replicator.core.records import Position
from replicator.errors import ArchiveDamaged, ObjectChanged, StoreUnavailable, UsageError, WriterFenced
from replicator.flows.lease import SIGNS_PER_SILENCE, Cadence, Lease, Seen, look

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from replicator.flows.link import Link

_START = datetime(1970, 1, 1, tzinfo=UTC)
_LOOKS_PER_SILENCE = 6
_LONGEST_POLL_S = 5.0


@dataclass(frozen=True, slots=True)
class LeaseRules:
    """How the lease is kept.

    Attributes:
        silence_s: How long a writer may give no sign before another takes over.
        cadence: How often it gives one while nobody stands by.
        may_share: Whether the store tells two writers apart. If not, one that meets a living writer gives up.
    """

    silence_s: float
    cadence: Cadence
    may_share: bool = True

    def alone(self) -> LeaseRules:
        """Return the rules for a store that can't tell two writers apart.

        There nobody may ask for quicker signs, so they always come: whoever is second must see that the first
        one lives before its patience ends.
        """
        sign_s = self.silence_s / SIGNS_PER_SILENCE
        cadence = Cadence(min(self.cadence.busy_s, sign_s), min(self.cadence.idle_s, sign_s))
        return replace(self, cadence=cadence, may_share=False)


class Standby:
    """Waits for the lease of *link*'s archive, for the term of *link*'s writer.

    Args:
        link: The archive, and who we are.
        rules: How the lease is kept.
        is_ready: Whether we could write if it was our turn: whether etcd answers us.
        stopping: Ends the wait.

    Attributes:
        has_waited: Whether the lease wasn't to be had at once.
    """

    def __init__(self, link: Link, rules: LeaseRules, is_ready: Callable[[], bool], stopping: Event) -> None:
        self._link = link
        self._rules = rules
        self._is_ready = is_ready
        self._stopping = stopping
        self._sign: tuple[str, int, datetime] | bytes | None = None
        self._silent_s = 0.0
        self._term = 0
        self._looked_at: float | None = None
        self._is_announced = False
        self.has_waited = False

    def wait(self, *, patiently: bool = True) -> Lease | None:
        """Return the lease as soon as it is ours; None if we are to stop before.

        Args:
            patiently: Wait out a store that is away, instead of raising.

        Raises:
            WriterFenced: Another is at work, and the store can't keep two apart.
            StoreUnavailable: The store doesn't answer, and we aren't patient.
        """
        poll_s = min(self._rules.silence_s / _LOOKS_PER_SILENCE, _LONGEST_POLL_S)
        while not self._stopping.is_set():
            try:
                seen = look(self._link.store)
                if self._is_free(seen, poll_s) and self._is_ready():
                    lease = self._take(seen)
                    if lease is not None:
                        return lease
                    continue
                self._announce(seen)
            except (StoreUnavailable, ArchiveDamaged, UsageError) as error:  # damaged on its way, perhaps
                if not patiently and not self.has_waited:
                    raise
                self._link.log.warning("checkpoint.missed", cause=str(error))
            self._stopping.wait(poll_s)
        return None

    def _is_free(self, seen: Seen, poll_s: float) -> bool:
        """Tell whether nobody holds the lease, or its holder has been silent for too long."""
        claim = seen.claim
        # One that is gone since we looked, or can't be read, may be about to be written anew.
        is_new = seen.body is None and self._sign is None and not seen.is_unreadable
        if is_new or (seen.checkpoint is not None and claim is None):
            return True
        if claim is not None and self._link.peers.is_gone(claim.process):
            return True
        self._listen(seen, poll_s)
        silence_s = claim.silence_s if claim is not None else self._rules.silence_s
        return self._silent_s >= silence_s

    def _listen(self, seen: Seen, poll_s: float) -> None:
        """Count for how long the holder has given no sign, while we were looking."""
        claim, checkpoint = seen.claim, seen.checkpoint
        sign: tuple[str, int, datetime] | bytes = seen.body or b""
        if claim is not None and checkpoint is not None:
            sign = (claim.holder, claim.term, checkpoint.written_at)
            self._term = max(self._term, claim.term)
        now = self._link.clock.monotonic()
        if self._sign is not None and sign != self._sign and not self._rules.may_share:
            raise WriterFenced(
                "another writer is at work on this archive, and its store can't keep two apart",
                hint="stop the other one first, or use a store with conditional writes",
            )
        if sign != self._sign or self._looked_at is None:
            self._silent_s = 0.0
        else:  # while we were suspended ourselves, we heard nothing
            self._silent_s += min(now - self._looked_at, 2 * poll_s)
        self._sign, self._looked_at = sign, now

    def _take(self, seen: Seen) -> Lease | None:
        """Write ourselves into the checkpoint; None if another was quicker."""
        before, link = seen.checkpoint, self._link
        if seen.is_unreadable:
            link.store.delete(names.CHECKPOINT)
        claim = Claim(
            holder=link.writer,
            process=link.peers.me(),
            term=max(self._term, before.lease.term if before and before.lease else 0) + 1,
            silence_s=self._rules.silence_s,
        )
        now = link.clock.now()
        if before is None:
            before = Checkpoint(
                position=Position(0, 0),
                through_revision=0,
                observed_through=_START,
                writer=link.writer,
                written_at=now,
            )
        checkpoint = msgspec.structs.replace(before, writer=link.writer, written_at=now, lease=claim)
        asked_at = link.clock.monotonic()
        try:
            link.store.replace(names.CHECKPOINT, seen.body, documents.encode(checkpoint))
        except ObjectChanged:
            return None
        link.log.info("lease.taken", term=claim.term, writer=claim.holder)
        return Lease(link, self._rules.cadence, checkpoint, asked_at)

    def _announce(self, seen: Seen) -> None:
        """Ask the holder for quick signs, unless somebody has."""
        claim, checkpoint = seen.claim, seen.checkpoint
        if claim is not None and not self._is_announced:
            self._link.log.info("standby.waiting", writer=claim.holder, term=claim.term)
            self._is_announced = True
        self.has_waited = True
        if claim is None or checkpoint is None or claim.standby or not self._rules.may_share:
            return
        waiting = msgspec.structs.replace(claim, standby=self._link.writer)
        body = documents.encode(msgspec.structs.replace(checkpoint, lease=waiting))
        try:
            self._link.store.replace(names.CHECKPOINT, seen.body, body)
        except ObjectChanged:
            return
