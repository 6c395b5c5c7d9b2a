"""From the spool to the store: what is sealed becomes the next segment of the log, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from replicator.core import objects
from replicator.core.frame import digest_of
from replicator.core.names import LogName
from replicator.core.rebase import beyond, joined
from replicator.core.records import Position
from replicator.flows.readback import Stored
from replicator.flows.tip import LogEnd, Watermark

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from structlog.typing import FilteringBoundLogger

    from replicator.core.objects import Header, SegmentFooter
    from replicator.flows.accounts import Accounts
    from replicator.flows.append import Appender
    from replicator.flows.spool import Entry, Spool


class Shipper:
    """Moves the stored log on, in one thread: a segment is durable before the next one is begun.

    What has gathered in the spool meanwhile becomes one object, so that a slow store gets fuller segments,
    not more of them.

    Args:
        spool: What waits.
        appender: Stores it.
        accounts: Told of each segment.
        header: Header of the segments but for the revision.
        end: Where the stored log ends now.
        log: Hears of each segment.

    Attributes:
        end: Where the stored log ends; replaced at once, for other threads to read.
    """

    def __init__(
        self,
        spool: Spool,
        appender: Appender,
        accounts: Accounts,
        header: Header,
        end: LogEnd,
        log: FilteringBoundLogger,
    ) -> None:
        self._spool = spool
        self._appender = appender
        self._accounts = accounts
        self._header = header
        self._log = log
        self.end = end

    def ship(self, limit_bytes: int, on_stored: Callable[[LogEnd], None]) -> None:
        """Store all that comes into the spool, until that is closed and empty; tell *on_stored* of each.

        Args:
            limit_bytes: How much text is joined into one segment at the most.
            on_stored: Told where the log ends, after each.

        Raises:
            WriterFenced: Another writer extended the log.
            StoreUnavailable: The store is away, and we are to end.
        """
        while entries := self._spool.take(limit_bytes):
            segment = self._next(entries)
            if segment is not None:
                self._store(*segment)
            self._spool.done(entries)
            on_stored(self.end)

    def _store(self, body: bytes, footer: SegmentFooter) -> None:
        epoch, revision = self.end.position.epoch, self.end.position.revision
        name = LogName(epoch, revision)
        self._appender.append(name, body, self.end.anchor)
        watermark = Watermark(footer.through_revision, footer.observed_through)
        self.end = LogEnd(Position(epoch, footer.last_revision), digest_of(body), watermark)
        self._log.info(
            "segment.stored",
            object=str(name),
            revision=footer.last_revision,
            events=footer.events,
            size_bytes=len(body),
        )
        self._accounts.segment_stored(
            Stored(str(name), self.end.anchor, self.end.position, watermark.moment, footer.state_digest)
        )

    def _next(self, entries: Sequence[Entry]) -> tuple[bytes, SegmentFooter] | None:
        """Return the segment that holds *entries* behind the log's end; None if the log holds all of them."""
        first, end = entries[0], self.end
        if len(entries) == 1 and not first.is_foreign and first.footer.previous == end.anchor:
            return first.read(), first.footer
        segments = [entry.segment() for entry in entries]
        batches = beyond(segments, end.position.revision, end.watermark.moment)
        if not batches:
            return None
        footer = joined(segments, batches, end.anchor)
        header = msgspec.structs.replace(self._header, revision=end.position.revision)
        return objects.encode_segment(header, batches, footer), footer
