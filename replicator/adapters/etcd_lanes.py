"""The watchers of one stream, each on its own stretch of the history, put in order again.

etcd gives a watcher that lies behind 1,000 revisions at a time, ten times a second at most, and reads all
that is left of the history each time, while writers wait. So where much is left several watchers are at work,
each from where the one before it is to end: the history comes in few rounds instead of hundreds.

The first lane is what a single watcher would be. All that a later one brings waits until those before it are
over, and a lane is over only once its own watcher has brought all up to its end. When one is left the stream
is spent: etcd keeps what it had for cancelled watchers in memory until the stream ends.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from replicator.adapters.etcd_messages import messages
from replicator.core.records import Event, Record
from replicator.errors import Compacted, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

Revision: TypeAlias = tuple[int, tuple[Event, ...]]

# A watcher that is behind gets so many revisions at once; one that isn't never does.
_FULL: Final = 1000

_ALL: Final = -1  # the watcher that etcd names when it answers how far it has come with all of them
_MOST_LANES: Final = 32
_FAR_BEHIND: Final = 2 * _FULL

# So much may wait for its turn, as etcd's messages have it.
_WAITING_BYTES: Final = 64 << 20


@dataclass(slots=True)
class _Lane:
    """One watcher.

    Attributes:
        number: Its id on the stream.
        reached: It has brought all up to this revision; at first, what it begins behind.
        end: It is to bring all up to this one; None for one that goes on for ever.
        waiting: Whole revisions that nobody has taken yet.
        part: Events of the revisions that may go on in etcd's next fragment.
        batch: How many revisions came since `part` was empty; `batch_bytes` and `batch_from` likewise.
    """

    number: int
    reached: int
    end: int | None = None
    waiting: list[Revision] = field(default_factory=list)
    waiting_bytes: int = 0
    part: list[Any] = field(default_factory=list)
    batch: int = 0
    batch_bytes: int = 0
    batch_from: int = 0

    @property
    def is_over(self) -> bool:
        return self.end is not None and self.reached >= self.end


class Lanes:
    """All watchers of one stream, for the keys from *bounds*[0] up to *bounds*[1].

    Args:
        after: What follows this revision is wanted.
        bounds: Which keys.
        ask: Sends a request.
        may_spread: Whether there may be more than one watcher.
    """

    def __init__(
        self, after: int, bounds: tuple[bytes, bytes], ask: Callable[[Any], None], *, may_spread: bool
    ) -> None:
        self._bounds, self._ask, self._may_spread = bounds, ask, may_spread
        self._lanes: deque[_Lane] = deque()
        self._watching: dict[int, _Lane] = {}
        self._last_number = 0
        self._width, self._stride, self._head = 1, _FULL - 1, 0
        self._has_spread = self._is_quiet = False
        self._open(after, None)

    @property
    def is_spent(self) -> bool:
        """Whether there were several watchers, and all but the last are over: go on with another stream.

        What the last has to bring comes first: it would come later by another stream.
        """
        last = self._lanes[0]
        has_come = self._is_quiet or last.reached >= self._head
        return self._has_spread and len(self._lanes) == 1 and last.end is None and has_come

    def ask_for_progress(self) -> None:
        """Ask etcd how far nothing more has happened; for any thread."""
        self._ask(messages.WatchRequest(progress_request=messages.WatchProgressRequest()))

    def take(self, response: Any) -> tuple[list[Revision], int | None]:
        """Return the whole revisions that are next by *response*, and the revision of a bookmark behind them.

        Raises:
            Compacted: etcd no longer holds what a lane was to bring.
            SourceUnavailable: etcd ended a watcher.
        """
        self._head = max(self._head, response.header.revision)
        lane = self._watching.get(response.watch_id)
        if response.canceled:
            if lane is not None or not 0 < response.watch_id <= self._last_number:
                raise refusal(response)
        elif response.created:
            self._spread_at_once()
        elif response.events:
            if lane is not None:  # else one that is over, and hasn't been told yet
                self._feed(lane, response)
                return self._due(), None
        elif lane is not None or response.watch_id == _ALL:
            return [], self._bookmark(response)
        return [], None

    def _spread_at_once(self) -> None:
        """Begin with all lanes where much is left by etcd's head: each round of etcd's is worth it.

        How large the values are and how many revisions aren't ours shows later; `_spread` keeps the bound.
        """
        first = self._lanes[0]
        if self._may_spread and not self._has_spread and self._head - first.reached >= _FAR_BEHIND:
            self._width = _MOST_LANES
            first.end = first.reached + self._stride
            self._spread()

    def _feed(self, lane: _Lane, response: Any) -> None:
        if not lane.part and not lane.batch:
            lane.batch_from = lane.reached
        lane.part.extend(response.events)
        whole, lane.part = _whole_revisions(lane.part, more=response.fragment)
        end = lane.end if lane.end is not None else whole[-1][0] if whole else 0
        lane.waiting += [each for each in whole if lane.reached < each[0] <= end]
        lane.reached = max(lane.reached, whole[-1][0]) if whole else lane.reached
        size_bytes = response.ByteSize()
        lane.waiting_bytes += size_bytes
        lane.batch_bytes += size_bytes
        lane.batch += len(whole)
        if not response.fragment:
            self._end_batch(lane)
        if lane.is_over:
            self._stop(lane)
        self._spread()

    def _end_batch(self, lane: _Lane) -> None:
        """Learn from a whole batch how many lanes are worth it, and how long they are to be."""
        if lane.batch >= _FULL and self._may_spread:
            # A lane's first revision is that before it; and where others write too, they don't evenly.
            self._stride = max(_FULL - 1, (lane.reached - lane.batch_from) * 7 // 8)
            self._width = min(_MOST_LANES, max(1, _WAITING_BYTES // lane.batch_bytes))
            is_far_behind = self._head - lane.reached >= max(_FAR_BEHIND, self._stride)
            if lane.end is None and is_far_behind and self._width > 1:
                lane.end = lane.reached + self._stride
        lane.batch = lane.batch_bytes = 0

    def _spread(self) -> None:
        """Open the lanes that there is room for; close those that bring more than may wait."""
        waiting_bytes = sum(lane.waiting_bytes for lane in self._lanes) - self._lanes[0].waiting_bytes
        if waiting_bytes > 2 * _WAITING_BYTES:
            self._width = max(1, len(self._lanes) // 2)
            self._close_behind(self._width)
        while (after := self._lanes[-1].end) is not None and len(self._lanes) < self._width:
            end = after + self._stride
            self._open(after, end if end < self._head else None)
            self._has_spread = True

    def _due(self) -> list[Revision]:
        """Take what is next: what the first lane has brought, and those after it once it is over."""
        due: list[Revision] = []
        while True:
            lane = self._lanes[0]
            due += lane.waiting
            lane.waiting, lane.waiting_bytes = [], 0
            if not lane.is_over:
                return due
            if len(self._lanes) == 1:
                self._open(lane.end or 0, None)
            self._lanes.popleft()
            self._spread()

    def _bookmark(self, response: Any) -> int | None:
        """Return up to where all has come by *response*, which has no events, if that may be believed.

        An answer for all watchers may be older than some of them. It ends the spreading at least: nobody had
        anything left to bring, so that what is to end the first lane may be nowhere.
        """
        first = self._lanes[0]
        if self._has_spread:
            if response.watch_id == _ALL:
                first.end = None
                self._close_behind(1)
                self._is_quiet = True
            return None
        if first.part:
            return None
        first.reached = max(first.reached, response.header.revision)
        return int(response.header.revision)

    def _open(self, after: int, end: int | None) -> None:
        self._last_number += 1
        lane = _Lane(self._last_number, after, end)
        self._lanes.append(lane)
        self._watching[lane.number] = lane
        key, range_end = self._bounds
        create = messages.WatchCreateRequest(
            watch_id=lane.number,
            key=key,
            range_end=range_end,
            # At a revision that is known: so a compaction right behind it is an error on all versions.
            start_revision=max(after, 1),
            progress_notify=end is None,
            fragment=True,
        )
        self._ask(messages.WatchRequest(create_request=create))

    def _stop(self, lane: _Lane) -> None:
        """Let etcd forget the watcher; what it has brought stays."""
        if self._watching.pop(lane.number, None) is not None:
            cancel = messages.WatchCancelRequest(watch_id=lane.number)
            self._ask(messages.WatchRequest(cancel_request=cancel))

    def _close_behind(self, count: int) -> None:
        """Close all lanes but the first *count*, with what they have brought."""
        while len(self._lanes) > count:
            self._stop(self._lanes.pop())


def refusal(response: Any) -> Exception:
    """Return what etcd means by a response that ends a watcher."""
    if response.compact_revision:
        return Compacted(response.compact_revision)
    return SourceUnavailable(
        f"etcd ended the watch: {response.cancel_reason or 'no reason given'}",
        hint="etcd's user needs a role with read permission on the whole prefix",
    )


def _whole_revisions(events: list[Any], *, more: bool) -> tuple[list[Revision], list[Any]]:
    """Group *events* by revision; if *more* fragments follow, hold back the last, which may go on in them."""
    whole: list[Revision] = []
    group: list[Event] = []
    number = start = 0
    delete = messages.Event.DELETE
    for place, event in enumerate(events):  # each call and attribute counts: a catch-up spends its time here
        kv = event.kv
        revision = kv.mod_revision
        if revision != number:
            if group:
                whole.append((number, tuple(group)))
            group, number, start = [], revision, place
        record = None
        if event.type != delete:
            record = Record(kv.value, kv.create_revision, revision, kv.version, kv.lease)
        group.append(Event(kv.key, record))
    if more:
        return whole, events[start:]
    if group:
        whole.append((number, tuple(group)))
    return whole, []
