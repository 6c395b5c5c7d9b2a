"""The gaps of an archive: what is known of each, and that somebody has taken note of it."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.core import documents, frame, gaps, names
from replicator.core.documents import GapAcknowledged
from replicator.errors import ArchiveDamaged, ObjectExists, ObjectMissing, StoreUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from replicator.core.documents import Archive, Epoch, Follows
    from replicator.core.gaps import Difference
    from replicator.ports import Clock, ObjectStore
    from replicator.telemetry.metrics import Meter

_COUNT_EACH_S = 600.0


@dataclass(frozen=True, slots=True)
class KnownGap:
    """The gap before *epoch*, from where *follows* ends; *acknowledged* is None until somebody did that."""

    epoch: Epoch
    follows: Follows
    acknowledged: GapAcknowledged | None

    @property
    def length(self) -> timedelta:
        """The time of which nobody knows what happened."""
        return self.epoch.observed_at - self.follows.observed_through


def find_gaps(store: ObjectStore, epochs: Iterable[Epoch]) -> tuple[KnownGap, ...]:
    """Return the gap before each of *epochs* that has one, in order.

    Raises:
        ArchiveDamaged: An acknowledgement is.
    """
    return tuple(
        KnownGap(epoch, epoch.follows, _acknowledged(store, epoch.epoch))
        for epoch in epochs
        if epoch.follows is not None
    )


def gap_before(number: int, found: Iterable[KnownGap]) -> KnownGap:
    """Return the one of *found* that lies before epoch *number*.

    Raises:
        UsageError: There is none.
    """
    known = {gap.epoch.epoch: gap for gap in found}
    if number not in known:
        told = ", ".join(map(str, known)) or "none"
        raise UsageError(
            f"there is no gap before epoch {number}", hint=f"the epochs that follow a gap: {told}"
        )
    return known[number]


def differences(store: ObjectStore, archive: Archive, gap: KnownGap) -> list[Difference]:
    """Return each key that differs across *gap*, in byte order.

    Raises:
        UsageError: A version of replicator opened the epoch that wrote no gap records yet.
        ArchiveDamaged: The record is missing, or isn't the one that the epoch's document names.
    """
    epoch, said = gap.epoch, gap.epoch.gap
    if said is None:
        raise UsageError(
            f"epoch {epoch.epoch} has no gap record: an older version opened it",
            hint="restore both sides and compare them",
        )
    try:
        body = store.get(said.name)
    except ObjectMissing:
        raise ArchiveDamaged(f"{said.name} is missing", hint=frame.DAMAGE_HINT) from None
    header, found, _ = gaps.decode(body, said.name)
    if (header.archive_id, header.epoch, frame.digest_of(body)) != (
        archive.archive_id,
        epoch.epoch,
        said.sha256,
    ):
        raise ArchiveDamaged(f"{said.name} is another record than the epoch's", hint=frame.DAMAGE_HINT)
    return found


def acknowledge(store: ObjectStore, gap: KnownGap, now: datetime, note: str) -> GapAcknowledged | None:
    """Write down that somebody took note of *gap* at *now*; return None, or what was written before.

    Raises:
        StoreUnavailable: It may not be written.
    """
    if gap.acknowledged is not None:
        return gap.acknowledged
    document = GapAcknowledged(epoch=gap.epoch.epoch, acknowledged_at=now, note=note)
    with suppress(ObjectExists):
        store.create(names.gap_acknowledgement(gap.epoch.epoch), documents.encode(document))
        return None
    return _acknowledged(store, gap.epoch.epoch)


class OpenGaps:
    """Counts, for the metrics, the gaps that nobody has acknowledged: a GET for each, now and then."""

    def __init__(self, store: ObjectStore, meter: Meter, clock: Clock) -> None:
        self._store = store
        self._meter = meter
        self._clock = clock
        self._open: set[int] = set()
        self._epoch = 1
        self._count_at = -math.inf

    def consider(self, epoch: int) -> None:
        """Count if that is due; *epoch* is the newest one."""
        now = self._clock.monotonic()
        if now < self._count_at and epoch <= self._epoch:
            return
        self._open.update(range(self._epoch + 1, epoch + 1))
        self._epoch, self._count_at = max(epoch, self._epoch), now + _COUNT_EACH_S
        with suppress(StoreUnavailable, ArchiveDamaged):
            self._open = {number for number in self._open if _acknowledged(self._store, number) is None}
        self._meter.set("unacknowledged_gaps", len(self._open))


def _acknowledged(store: ObjectStore, number: int) -> GapAcknowledged | None:
    name = names.gap_acknowledgement(number)
    try:
        return documents.decode(GapAcknowledged, store.get(name), name)
    except ObjectMissing:
        return None
