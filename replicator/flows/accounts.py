"""Tell what the writer does, to those who count it and those who read it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.flows.readback import Stored

if TYPE_CHECKING:
    from replicator.flows.readback import Readback
    from replicator.flows.tip import Tip
    from replicator.ports import Clock
    from replicator.telemetry.metrics import Meter


class Accounts:
    """Keeps the writer's metrics, and hands *readback* what was stored. Any thread may call."""

    def __init__(self, meter: Meter, readback: Readback, clock: Clock) -> None:
        self._meter = meter
        self._readback = readback
        self._clock = clock

    @property
    def is_broken(self) -> bool:
        """Whether something that was stored is damaged: a snapshot to restore from is then wanted at once."""
        return self._readback.is_broken

    def began(self, tip: Tip) -> None:
        """Take note of where the log stands, at the start or when an epoch was opened.

        What was resumed has just been read; a base was only written.
        """
        self._meter.set("gaps", tip.epoch.epoch - 1)
        self._meter.set("recorded_revision", tip.state.revision)
        begun = Stored(tip.epoch.snapshot, tip.anchor, tip.position, tip.watermark.moment, tip.state.digest)
        if tip.state.revision == tip.epoch.base:
            self._readback.stored(begun)
        else:
            self._readback.resumed(begun)
        self.observed(tip)

    def segment_stored(self, stored: Stored) -> None:
        """Take note of a segment that is durable in the store; the tip may be further on by now."""
        self._meter.count("segments_stored_total")
        self._meter.set("recorded_revision", stored.position.revision)
        self._meter.set("watermark_time_seconds", stored.moment.timestamp())
        self._readback.stored(stored)

    def snapshot_stored(self, stored: Stored) -> None:
        """Take note of a snapshot that is durable."""
        self._meter.count("snapshots_stored_total")
        self._meter.set("last_snapshot_time_seconds", self._clock.now().timestamp())
        self._readback.stored(stored)

    def observed(self, tip: Tip) -> None:
        """Take note of how far *tip* is known, while nothing happens."""
        self._meter.set("watermark_time_seconds", tip.watermark.moment.timestamp())
        self._readback.watched(tip.position, tip.watermark.moment)
