"""The log's end as its writer holds it, and how one more segment moves it on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from replicator.core import objects
from replicator.core.documents import Follows
from replicator.core.frame import digest_of
from replicator.core.names import LogName
from replicator.core.objects import Header, SegmentFooter, SnapshotFooter
from replicator.core.records import Position, Window, size_bytes

if TYPE_CHECKING:
    from datetime import datetime

    from replicator.core.documents import Epoch
    from replicator.core.records import Batch
    from replicator.core.state import State


@dataclass(frozen=True, slots=True)
class Watermark:
    """Nothing more happened up to *revision*, and all that was committed until *moment* is known."""

    revision: int
    moment: datetime


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where the stored log ends: what the next segment must name, and stamp later than.

    Attributes:
        position: After the last stored event.
        anchor: SHA-256 that the next segment names as its previous.
        watermark: How far the epoch is known by what is stored.
    """

    position: Position
    anchor: str
    watermark: Watermark


class Sealed(NamedTuple):
    """A segment's name, its bytes, the footer within them, and about how many bytes its text has."""

    name: LogName
    body: bytes
    footer: SegmentFooter
    text_bytes: int


@dataclass(slots=True)
class Tip:
    """Everything that the next segment depends on; owned by the thread that commits.

    Attributes:
        archive_id: As in archive.json.
        writer: Who writes: a name of this process.
        epoch: The open epoch.
        state: The fold of all that was sealed.
        anchor: SHA-256 that the next segment names as its previous.
        observed_at: Stamp of the state's last revision.
        window: Where that revision's commit must lie, if it arrived late.
        watermark: How far the epoch is known.
        snapshot_revision: Revision of the last snapshot.
        tail_bytes: Size of all batches since then.
        sealed: The watermark's revision, and the digest of *state*, which etcd must still give there. For
            other threads: replaced at once, never changed.
        seen: The last sealed revision, and how far the source was seen behind it. For other threads as well.
    """

    archive_id: str
    writer: str
    epoch: Epoch
    state: State
    anchor: str
    observed_at: datetime
    window: Window | None
    watermark: Watermark
    snapshot_revision: int
    tail_bytes: int
    sealed: tuple[int, str]
    seen: tuple[int, Watermark]

    @property
    def position(self) -> Position:
        """Where the log ends."""
        return Position(self.epoch.epoch, self.state.revision)

    @property
    def log_name(self) -> LogName:
        """The name of the segment that comes next."""
        return LogName(self.epoch.epoch, self.state.revision)

    @property
    def log_end(self) -> LogEnd:
        """The same with all that the next segment needs."""
        return LogEnd(self.position, self.anchor, self.watermark)

    def header(self, kind: objects.Kind) -> Header:
        """Return the header of an object that begins, or shows, where the log ends now."""
        return Header(
            kind=kind,
            archive_id=self.archive_id,
            epoch=self.epoch.epoch,
            revision=self.state.revision,
            writer=self.writer,
        )

    def snapshot_footer(self) -> SnapshotFooter:
        """Return the footer of a snapshot of the state as it is now.

        Its `segment` holds only if the segment that ends here is stored as it was sealed.
        """
        return SnapshotFooter(
            keys=len(self.state),
            through_revision=self.watermark.revision,
            observed_through=self.watermark.moment,
            state_digest=self.state.digest,
            segment=self.anchor,
            window=self.window,
        )

    def end(self) -> Follows:
        """Return what the document of a next epoch says of where this one ends."""
        return Follows(
            position=self.position,
            through_revision=self.watermark.revision,
            observed_through=self.watermark.moment,
            segment=self.anchor,
        )

    def observe(self, watermark: Watermark) -> None:
        """Take note of how far the source was seen; a watermark never moves back."""
        if watermark.revision >= self.watermark.revision and watermark.moment >= self.watermark.moment:
            self.watermark = watermark
            self.publish()

    def publish(self) -> None:
        """Tell other threads how far everything is sealed."""
        self.sealed = (self.watermark.revision, self.state.digest)
        self.seen = (self.state.revision, self.watermark)

    def seal(self, batches: tuple[Batch, ...], watermark: Watermark | None) -> Sealed:
        """Step over *batches*; return the segment that holds them.

        Args:
            batches: At least one.
            watermark: How far the source was seen after the last of them, if further than that.
        """
        name, header, last = self.log_name, self.header("segment"), batches[-1]
        for batch in batches:
            self.state.apply(batch)
        self.observe(Watermark(last.revision, last.observed_at))
        if watermark is not None:
            self.observe(watermark)
        footer = SegmentFooter(
            events=sum(len(batch.events) for batch in batches),
            last_revision=last.revision,
            through_revision=self.watermark.revision,
            observed_at=last.observed_at,
            observed_through=self.watermark.moment,
            state_digest=self.state.digest,
            previous=self.anchor,
        )
        body = objects.encode_segment(header, batches, footer)
        self.anchor = digest_of(body)
        self.observed_at, self.window = last.observed_at, last.window
        text_bytes = sum(map(size_bytes, batches))
        self.tail_bytes += text_bytes
        return Sealed(name, body, footer, text_bytes)
