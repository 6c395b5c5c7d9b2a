"""The writer's lease in ``checkpoint.json``: who writes, how far it has seen, and that it is alive.

The lease keeps two writers from getting into each other's way. That the log stays one chain rests on its
names alone, whatever the lease says.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from replicator.core import documents, names
from replicator.core.documents import Checkpoint
from replicator.errors import (
    ArchiveDamaged,
    ObjectChanged,
    ObjectMissing,
    StoreUnavailable,
    UsageError,
    WriterFenced,
)

if TYPE_CHECKING:
    from typing import TypeAlias

    from replicator.core.documents import Lease as Claim
    from replicator.core.records import Position
    from replicator.flows.link import Link
    from replicator.flows.tip import Watermark
    from replicator.ports import ObjectStore

    # Where the stored log ends, and how far the source is known behind that.
    Standing: TypeAlias = tuple[Position, Watermark]

SIGNS_PER_SILENCE = 3
"""How many signs a holder gives within its silence, while somebody stands by."""

_STANDBY_KNOWN_S = 600.0


@dataclass(frozen=True, slots=True)
class Cadence:
    """The least seconds between two checkpoints: while changes come, and while none do."""

    busy_s: float
    idle_s: float


# A PUT each 10 s costs $1.30 a month, and one a minute $0.22.
PAID = Cadence(busy_s=10.0, idle_s=60.0)
FREE = Cadence(busy_s=1.0, idle_s=5.0)


@dataclass(frozen=True, slots=True)
class Seen:
    """The checkpoint as it was read: its bytes, and what they say; None where nothing whole is.

    If it *is_unreadable*, there is one, and not even its bytes can be had: nobody could ever replace it.
    """

    body: bytes | None
    checkpoint: Checkpoint | None
    is_unreadable: bool = False

    @property
    def claim(self) -> Claim | None:
        """The lease in it, if somebody holds it."""
        lease = self.checkpoint.lease if self.checkpoint else None
        return lease if lease and lease.holder else None


def look(store: ObjectStore) -> Seen:
    """Return what the checkpoint says now.

    Raises:
        StoreUnavailable: The store doesn't answer.
    """
    try:
        with suppress(ArchiveDamaged, UsageError):  # the bytes may have been hurt on their way
            return _seen(store.get(names.CHECKPOINT))
        return _seen(store.get(names.CHECKPOINT))
    except ObjectMissing:
        return Seen(None, None)
    except (ArchiveDamaged, UsageError):  # or sealed with a key that nobody has, as a flipped bit says
        return Seen(None, None, is_unreadable=True)


def _seen(body: bytes) -> Seen:
    try:
        return Seen(body, documents.decode(Checkpoint, body, names.CHECKPOINT))
    except ArchiveDamaged:
        return Seen(body, None)


def claim_of(checkpoint: Checkpoint) -> Claim:
    """Return the lease in *checkpoint*, which has one."""
    if checkpoint.lease is None:
        raise ValueError("a checkpoint without a lease")
    return checkpoint.lease


class Lease:
    """The lease while we hold it. All but `confirm` and `prove` belong to one thread.

    Args:
        link: Where the checkpoint is, and what times the renewals and hears of those that fail.
        cadence: How often to write while nobody stands by.
        checkpoint: What we have written, our claim in it.
        asked_at: When we asked for that, on the link's monotonic clock.
    """

    def __init__(self, link: Link, cadence: Cadence, checkpoint: Checkpoint, asked_at: float) -> None:
        self._store, self._clock, self._log = link.store, link.clock, link.log
        self._cadence = cadence
        self._claim = claim_of(checkpoint)
        # The bytes that the store is known to hold, and our own last word. Two threads look: both at once.
        self._last: tuple[bytes | None, Checkpoint] = documents.encode(checkpoint), checkpoint
        self._written_at = -math.inf
        self._position: Position | None = None
        self._confirmed_at = asked_at
        self._standby_since = -math.inf

    @property
    def term(self) -> int:
        """Which takeover this is."""
        return self._claim.term

    @property
    def has_standby(self) -> bool:
        """Whether somebody has lately said that it waits for the lease."""
        return bool(self._claim.standby)

    @property
    def is_out_of_reach(self) -> bool:
        """Whether nothing is known of the checkpoint, as after a call that the store failed."""
        return self._last[0] is None

    def confirm(self) -> None:
        """Make sure that the lease is still ours, if a holder's silence has passed since we last knew.

        Raises:
            WriterFenced: It is another's.
            StoreUnavailable: The store doesn't say.
        """
        if self._clock.monotonic() - self._confirmed_at >= self._claim.silence_s:
            self.prove()

    def prove(self) -> None:
        """Make sure that the lease is still ours, whatever our clock says: it may have stood still with us.

        Raises:
            WriterFenced: It is another's.
            StoreUnavailable: The store doesn't say.
        """
        asked_at, seen = self._clock.monotonic(), look(self._store)
        self._take_in(asked_at, seen)
        if seen.claim is None or seen.claim.holder != self._claim.holder:
            raise StoreUnavailable(
                f"{names.CHECKPOINT} doesn't say whose turn it is", hint="whoever has it writes it anew"
            )

    def consider(self, standing: Standing | None) -> None:
        """Renew the lease if that is due; *standing* is how far all is stored, None if that isn't known yet.

        Raises:
            WriterFenced: It is another's.
        """
        position = standing[0] if standing else self._position
        sign_s = self._claim.silence_s / SIGNS_PER_SILENCE
        interval_s = self._cadence.busy_s if position != self._position else self._cadence.idle_s
        if self.has_standby:
            interval_s = min(interval_s, sign_s)
        now = self._clock.monotonic()
        if now - self._written_at >= interval_s:
            self.renew(standing)
        elif now - self._confirmed_at >= sign_s:
            self._listen(now)

    def renew(self, standing: Standing | None) -> None:
        """Write the checkpoint now.

        Raises:
            WriterFenced: The lease is another's.
        """
        asked_at = self._clock.monotonic()
        if asked_at - self._standby_since >= _STANDBY_KNOWN_S:
            self._claim = msgspec.structs.replace(self._claim, standby="")
        self._written_at = asked_at
        self._position = standing[0] if standing else None
        self._write(standing, self._claim, asked_at)

    def give_back(self, standing: Standing | None) -> None:
        """Write the checkpoint a last time, for the next one to begin at once.

        Raises:
            WriterFenced: The lease is another's.
        """
        free = msgspec.structs.replace(self._claim, holder="", standby="")
        # A standby may announce itself at this very moment, but not twice.
        if not self._write(standing, free, self._clock.monotonic()):
            self._write(standing, free, self._clock.monotonic())

    def _write(self, standing: Standing | None, claim: Claim, asked_at: float) -> bool:
        """Write the checkpoint with *claim*; tell whether it holds now, and listen to what does if not."""
        try:
            if self._last[0] is None:
                self._take_in(asked_at, look(self._store))
            known, before = self._last
            checkpoint = self._next(before, standing, claim)
            body = documents.encode(checkpoint)
            self._store.replace(names.CHECKPOINT, known, body)
        except (StoreUnavailable, ArchiveDamaged, UsageError) as error:  # it may have read damaged bytes
            self._last = None, self._last[1]
            self._log.warning("checkpoint.missed", cause=str(error))
            return True
        except ObjectChanged:  # a standby has announced itself, or another has taken over
            self._written_at = -math.inf
            self._listen(asked_at)
            return False
        self._last, self._confirmed_at = (body, checkpoint), asked_at
        self._log.debug("checkpoint.stored")
        return True

    def _next(self, before: Checkpoint, standing: Standing | None, claim: Claim) -> Checkpoint:
        checkpoint = msgspec.structs.replace(
            before, writer=self._claim.holder, written_at=self._clock.now(), lease=claim
        )
        if standing is None:
            return checkpoint
        position, watermark = standing
        revision, moment = watermark.revision, watermark.moment
        if position == checkpoint.position:
            # What waits by now doesn't take back what was said when nothing did.
            revision = max(revision, checkpoint.through_revision)
            moment = max(moment, checkpoint.observed_through)
        return msgspec.structs.replace(
            checkpoint, position=position, through_revision=revision, observed_through=moment
        )

    def _listen(self, asked_at: float) -> None:
        try:
            self._take_in(asked_at, look(self._store))
        except StoreUnavailable as error:
            self._last = None, self._last[1]
            self._log.warning("checkpoint.missed", cause=str(error))

    def _take_in(self, asked_at: float, seen: Seen) -> None:
        """Believe what is there: whether the lease is ours, and who stands by."""
        if seen.is_unreadable:  # a hint is worth no more
            self._store.delete(names.CHECKPOINT)
        lease = seen.checkpoint.lease if seen.checkpoint else None
        if lease is not None and lease.holder != self._claim.holder and lease.term >= self._claim.term:
            raise WriterFenced(
                f"another writer has taken over (term {lease.term}): this one must not go on",
                hint="it stands by from now on, if it may",
            )
        last = self._last[1]
        if seen.checkpoint is not None and lease is not None and lease.holder == self._claim.holder:
            last = seen.checkpoint  # a write that seemed to fail may have succeeded
        self._last, self._confirmed_at = (seen.body, last), asked_at
        if lease is None or lease.term < self._claim.term:  # deleted, damaged, or an old one put back
            self._written_at = -math.inf
        if lease is not None and lease.standby and lease.standby != self._claim.standby:
            self._claim = msgspec.structs.replace(self._claim, standby=lease.standby)
            self._standby_since, self._written_at = asked_at, -math.inf
            self._log.info("standby.noticed", standby=lease.standby)
