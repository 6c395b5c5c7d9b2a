"""What etcd says of a key, and what happened to it: the words that everything else is written in."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (msgspec reads the annotations)

import msgspec

from replicator.core.limits import Moment, Number, check_moments


class Record(msgspec.Struct, frozen=True, gc=False):
    """What a key holds after a put, as etcd's KeyValue has it.

    Attributes:
        value: The bytes that were put.
        create_revision: Revision of the put that brought the key to life.
        mod_revision: Revision of this put.
        version: 1 for a new key, and one more for each put since.
        lease: Id of the lease that the key hangs on; 0 for none.
    """

    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int


class Event(msgspec.Struct, frozen=True, gc=False):
    """One key's change within a revision: a put (with its record) or a delete (None)."""

    key: bytes
    record: Record | None


class Window(msgspec.Struct, frozen=True):
    """The time within which a late batch must have been committed: after *not_before*, until *not_after*."""

    not_before: Moment
    not_after: Moment

    def __post_init__(self) -> None:
        """Refuse times that can't be reckoned with."""
        check_moments(self.not_before, self.not_after)


class Batch(msgspec.Struct, frozen=True):
    """All events of one revision under our prefix, stamped; never split.

    Attributes:
        revision: etcd's revision, the mod_revision of every event here.
        observed_at: Our stamp: aware, UTC, strictly later than that of the batch before.
        events: At least one; each key at most once.
        window: Where the commit must lie if the batch arrived late; None if it was seen live.
    """

    revision: int
    observed_at: datetime
    events: tuple[Event, ...]
    window: Window | None = None


class Position(msgspec.Struct, frozen=True, order=True):
    """A place in an archive: all events of *epoch* up to and including *revision*.

    Positions order first by epoch. Revision 0 is the empty keyspace.
    """

    epoch: Number
    revision: Number


def size_bytes(batch: Batch) -> int:
    """Return about how many bytes *batch* takes in memory and in a segment's text."""
    size = EVENT_OVERHEAD_BYTES * len(batch.events)
    for event in batch.events:
        size += len(event.key) + (len(event.record.value) if event.record else 0)
    return size


EVENT_OVERHEAD_BYTES = 160
