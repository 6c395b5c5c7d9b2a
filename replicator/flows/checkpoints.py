"""Keep the checkpoint fresh, so that readers know how far "nothing changed" was watched."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.core import documents, names
from replicator.core.documents import Checkpoint
from replicator.errors import ArchiveDamaged, ObjectChanged, ObjectMissing, StoreUnavailable, WriterFenced

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from replicator.flows.tip import Tip
    from replicator.ports import Clock, ObjectStore


@dataclass(frozen=True, slots=True)
class Cadence:
    """The least seconds between two checkpoints: while changes come, and while none do."""

    busy_s: float
    idle_s: float


# A PUT each 10 s costs $1.30 a month, and one a minute $0.22.
PAID = Cadence(busy_s=10.0, idle_s=60.0)
FREE = Cadence(busy_s=1.0, idle_s=5.0)


class Checkpoints:
    """Writes ``checkpoint.json``: a hint, so that a failure is told and no more."""

    def __init__(self, store: ObjectStore, cadence: Cadence, clock: Clock, log: FilteringBoundLogger) -> None:
        self._store = store
        self._cadence = cadence
        self._clock = clock
        self._log = log
        self._written_at = -math.inf
        self._known: bytes | None = None
        self._revision = 0

    def consider(self, tip: Tip) -> None:
        """Write the checkpoint if it is due."""
        is_busy = tip.state.revision != self._revision
        interval_s = self._cadence.busy_s if is_busy else self._cadence.idle_s
        if self._clock.monotonic() - self._written_at >= interval_s:
            self.write(tip)

    def write(self, tip: Tip) -> None:
        """Write the checkpoint now.

        Raises:
            WriterFenced: It tells of a log that has gone beyond ours: another writer goes on there.
        """
        body = documents.encode(
            Checkpoint(
                position=tip.position,
                through_revision=tip.watermark.revision,
                observed_through=tip.watermark.moment,
                writer=tip.writer,
                written_at=self._clock.now(),
            )
        )
        self._written_at, self._revision = self._clock.monotonic(), tip.state.revision
        try:
            self._replace(body, tip)
        except StoreUnavailable as error:
            self._known = None
            self._log.warning("checkpoint.missed", cause=str(error))
        except ObjectChanged:
            self._known = None
            self._log.warning("checkpoint.missed", cause="another writer was quicker")
            self._read(tip)

    def _read(self, tip: Tip) -> None:
        """Look at what is there, before it is replaced: it may be a later writer's."""
        try:
            self._known = self._store.get(names.CHECKPOINT)
            held = documents.decode(Checkpoint, self._known, names.CHECKPOINT)
        except (ObjectMissing, ArchiveDamaged, StoreUnavailable):
            return
        if held.position > tip.position:
            raise WriterFenced(
                f"another writer has gone on to revision {held.position.revision} of epoch "
                f"{held.position.epoch}: this one must not go on",
                hint="let one `replicator run` at a time write an archive",
            )

    def _replace(self, body: bytes, tip: Tip) -> None:
        if self._known is None:
            self._read(tip)
        self._store.replace(names.CHECKPOINT, self._known, body)
        self._known = body
        self._log.debug("checkpoint.stored")
