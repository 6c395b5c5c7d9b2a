"""What is sealed and not yet stored waits here: on local disk, so that no crash and no outage takes it."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.core import objects
from replicator.core.frame import digest_of, is_whole
from replicator.errors import ArchiveDamaged, ObjectMissing, StoreUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from structlog.typing import FilteringBoundLogger

    from replicator.core.names import LogName
    from replicator.core.objects import Segment, SegmentFooter
    from replicator.flows.tip import Sealed
    from replicator.ports import ObjectStore
    from replicator.telemetry.metrics import Meter


@dataclass(slots=True, eq=False)
class Entry:
    """A sealed segment on its way to the store.

    Attributes:
        name: Where it starts, at the time when it was sealed.
        footer: Its footer.
        digest: Its SHA-256, which the segment sealed after it names as its previous.
        size_bytes: Its size.
        text_bytes: About how large its text is, which compression says nothing of.
        place: The folder that holds it on disk; None if memory alone does.
        body: Its bytes, if memory alone holds them.
        is_boundary: Whether a snapshot shows the state at its end: it is not joined with what follows.
        is_foreign: Whether a process before this one sealed it.
    """

    name: LogName
    footer: SegmentFooter
    digest: str
    size_bytes: int
    text_bytes: int
    place: ObjectStore | None = None
    body: bytes = b""
    is_boundary: bool = False
    is_foreign: bool = False

    def read(self) -> bytes:
        """Return the segment's bytes.

        Raises:
            StoreUnavailable: The disk doesn't give them back as they were.
        """
        if self.place is None:
            return self.body
        try:
            body = self.place.get(str(self.name))
        except ObjectMissing:
            raise self._unreadable("vanished from", "leave the spool's folder to replicator alone") from None
        except (ArchiveDamaged, UsageError):  # or sealed with a key that nobody has, as a flipped bit says
            raise self._unreadable("is damaged in") from None
        if not is_whole(body, self.digest):  # stored like this it would break the log for good
            raise self._unreadable("is damaged in")
        return body

    def segment(self) -> Segment:
        """Return the segment; see `read`."""
        return objects.decode_segment(self.read(), str(self.name))

    def _unreadable(self, fault: str, hint: str = "check the disk below it") -> StoreUnavailable:
        return StoreUnavailable(f"{self.name} {fault} the spool at {self.place}", hint=hint)


class Spool:
    """A bounded queue of sealed segments between the thread that seals and the one that stores.

    Args:
        place: The folder on disk; None for memory alone, which holds one segment at a time: while that is
            stored, the next one fills.
        limit_bytes: From here on whoever seals waits, and etcd's stream with it.
        log: Hears of a disk that fails.
        meter: Takes the metrics.
    """

    def __init__(
        self, place: ObjectStore | None, limit_bytes: int, log: FilteringBoundLogger, meter: Meter
    ) -> None:
        self._place = place
        self._limit_bytes = limit_bytes
        self._log = log
        self._meter = meter
        self._changed = threading.Condition()
        self._entries: deque[Entry] = deque()
        self._size_bytes = 0
        self._is_closed = False
        self._is_abandoned = False
        self._told_full = False
        meter.set("spool_full", 0)
        self._tell_size()

    @property
    def is_durable(self) -> bool:
        """Whether all that waits is on disk."""
        with self._changed:
            return all(entry.place is not None for entry in self._entries)

    @property
    def load(self) -> tuple[int, int]:
        """How many segments wait, and their size in bytes."""
        with self._changed:
            return len(self._entries), self._size_bytes

    def adopt(self, entries: Iterable[Entry]) -> None:
        """Queue what an earlier process has left, before anything else."""
        with self._changed:
            for entry in entries:
                self._append(entry)

    @property
    def is_abandoned(self) -> bool:
        """Whether everybody was let go."""
        return self._is_abandoned

    def await_room(self, patience_s: float) -> bool:
        """Wait until there is room for a segment; tell whether there is."""
        with self._changed:
            return self._changed.wait_for(self._has_room, patience_s)

    def put(self, sealed: Sealed) -> None:
        """Append a segment. It is on disk when this returns, or the log says why not."""
        entry = Entry(
            name=sealed.name,
            footer=sealed.footer,
            digest=digest_of(sealed.body),
            size_bytes=len(sealed.body),
            text_bytes=sealed.text_bytes,
            place=self._place if self._is_on_disk(sealed) else None,
        )
        if entry.place is None:
            entry.body = sealed.body
        with self._changed:
            self._append(entry)

    def mark_boundary(self) -> None:
        """Let the last segment that waits end an object of its own: a snapshot shows the state there."""
        with self._changed:
            if self._entries:
                self._entries[-1].is_boundary = True

    def take(self, limit_bytes: int) -> Sequence[Entry]:
        """Wait for the first segments, and return them; they stay until `done`. None are left if none come.

        Several together have at most *limit_bytes* of text: all of it will be in memory, and readers have
        bounds. None but the last is a boundary.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self._is_closed)
            return [] if self._is_abandoned else list(self._first(limit_bytes))

    def done(self, entries: Sequence[Entry]) -> None:
        """Forget *entries*, the first ones: the store has them."""
        for entry in entries:
            if entry.place is not None:
                with suppress(StoreUnavailable):  # what stays is found to be stored at the next start
                    entry.place.delete(str(entry.name))
        with self._changed:
            for entry in entries:
                self._entries.remove(entry)
                self._size_bytes -= entry.size_bytes
            self._tell_size()
            self._changed.notify_all()

    def anchor(self) -> str | None:
        """Return the SHA-256 of the last segment that waits; None if none does."""
        with self._changed:
            return self._entries[-1].digest if self._entries else None

    def close(self) -> None:
        """Let `take` return what waits, and then nothing."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Let everybody go at once. What is on disk stays there."""
        with self._changed:
            self._is_closed = self._is_abandoned = True
            self._changed.notify_all()

    def _append(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._size_bytes += entry.size_bytes
        self._tell_size()
        self._changed.notify_all()

    def _tell_size(self) -> None:
        self._meter.set("spool_bytes", self._size_bytes)
        self._meter.set("spool_segments", len(self._entries))

    def _first(self, limit_bytes: int) -> Iterator[Entry]:
        total = 0
        for entry in self._entries:
            if total and total + entry.text_bytes > limit_bytes:
                return
            yield entry
            total += entry.text_bytes
            if entry.is_boundary:
                return

    def _has_room(self) -> bool:
        if self._is_abandoned or not self._entries:
            return True
        if any(entry.place is None for entry in self._entries):
            return False
        is_full = self._size_bytes >= self._limit_bytes
        if is_full and not self._told_full:
            self._log.error("spool.full", size_bytes=self._size_bytes, segments=len(self._entries))
        self._told_full = is_full
        self._meter.set("spool_full", int(is_full))
        return not is_full

    def _is_on_disk(self, sealed: Sealed) -> bool:
        if self._place is None:
            return False
        try:
            self._place.create(str(sealed.name), sealed.body)
        except StoreUnavailable as error:
            self._meter.count("spool_write_failures_total")
            self._log.error("spool.unavailable", object=str(sealed.name), cause=str(error))
            return False
        return True
