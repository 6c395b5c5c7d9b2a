"""Captures under test: a source that a test holds in its hand, and a capture that runs beside it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from archives import PREFIX, Strangers, quiet_log
from etcd_model import EtcdModel
from servers.command import until

from replicator.adapters.clock import SystemClock
from replicator.adapters.spool_folder import NoSpool
from replicator.core import objects
from replicator.core.plan import AtRevision
from replicator.core.schedule import Schedule
from replicator.errors import Compacted, SourceUnavailable
from replicator.flows.capture import Capture
from replicator.flows.inbox import GroupCommit
from replicator.flows.lease import Cadence
from replicator.flows.link import Link
from replicator.flows.open_archive import log, open_archive
from replicator.flows.restore import restore
from replicator.flows.standby import LeaseRules
from replicator.flows.term import CaptureRules
from replicator.ports import Delivery, SourceStatus
from replicator.telemetry.metrics import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from memory_store import MemoryStore
    from structlog.testing import LogCapture

    from replicator.core.objects import Segment
    from replicator.core.records import Batch, Record
    from replicator.flows.readback import Pace
    from replicator.ports import Clock, ObjectStore, Source, Spools
    from replicator.telemetry.metrics import Meter

AT_ONCE = GroupCommit(0.0, 1 << 20)
IN_AN_HOUR = GroupCommit(3600.0, 1 << 20)
SILENCE_S = 1.5
OFTEN = Cadence(0.05, 0.2)


class LeapingClock(SystemClock):
    """The system's clock, moved on by what the test has it leap; `monotonic` is left alone."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        """Return the time with all leaps."""
        return super().now() + self._ahead

    def leap(self, seconds: float) -> None:
        """Let so much time pass at once, for everyone."""
        self._ahead += timedelta(seconds=seconds)


class ModelSource:
    """A `Source` of an `EtcdModel`, which the test may change, compact, exchange, or cut off.

    Attributes:
        etcd: The model; change it only within `changing`.
        cluster_id: What `status` says.
        outages: So many calls of `status` fail.
    """

    def __init__(self, etcd: EtcdModel, clock: Clock | None = None) -> None:
        self.etcd = etcd
        self.clock = clock or SystemClock()
        self.cluster_id = "c1"
        self.outages = 0
        self._compacted = 0
        self._connection = 0
        self._interrupted = False
        self._changed = threading.Condition()

    @contextmanager
    def changing(self) -> Iterator[EtcdModel]:
        """Let the block change the model, or this source; a watch hears of it afterwards."""
        with self._changed:
            yield self.etcd
            self._changed.notify_all()

    def cut(self) -> None:
        """Break the watch that is under way; call this within `changing`."""
        self._connection += 1

    def compact(self, revision: int) -> None:
        """Forget what was before *revision*; call this within `changing`."""
        self._compacted = revision

    def again(self) -> ModelSource:
        """Return another connection to the same etcd, as a next process would have it."""
        twin = ModelSource(self.etcd, self.clock)
        twin.cluster_id, twin._compacted, twin._changed = self.cluster_id, self._compacted, self._changed
        return twin

    def status(self) -> SourceStatus:
        """Tell where the model stands."""
        with self._changed:
            if self.outages > 0:
                self.outages -= 1
                raise SourceUnavailable("etcd is away")
            return SourceStatus(self.cluster_id, "3.5.16", self.etcd.head)

    def read(self, revision: int) -> Iterator[tuple[bytes, Record]]:
        """Yield what the model held at *revision*."""
        with self._changed:
            if revision < self._compacted:
                raise Compacted
            held = sorted(self.etcd.states[revision].items())
        yield from held

    def watch(self, after: int) -> Iterator[Delivery]:
        """Return what happens after *after*, with a bookmark behind it each time."""
        if after < self._compacted:
            raise Compacted(self._compacted)
        return self._deliveries(self._connection, after)

    def _deliveries(self, connection: int, cursor: int) -> Iterator[Delivery]:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._connection != connection or self._interrupted or self.etcd.head > cursor  # noqa: B023
                )
                if self._connection != connection:
                    raise SourceUnavailable("the watch was cut off")
                news = tuple(revision for revision in self.etcd.history if revision[0] > cursor)
                cursor = max(cursor, self.etcd.head)
                is_last, moment = self._interrupted, self.clock.now()
            if news:
                yield Delivery(self.clock.now(), news)
            yield Delivery(moment, (), through=cursor)
            if is_last:
                return

    def interrupt(self) -> None:
        """End the watch, once all was yielded."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def neighbour(self) -> bytes | None:
        """Return a key of the model, which has none but those under the prefix."""
        return None


class Background:
    """A *capture* in a thread of its own: what it says, to *kept*, and what ended it."""

    def __init__(self, capture: Capture, kept: LogCapture) -> None:
        self.capture, self._kept = capture, kept
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.capture.run()
        except BaseException as failure:  # noqa: BLE001 (the result)
            self.failure = failure

    def events(self, name: str) -> list[Any]:
        """Return the events of that *name* that it has logged."""
        return [entry for entry in self._kept.entries if entry["event"] == name]

    def tells(self, name: str, times: int = 1) -> None:
        """Wait until it has logged the event *name* so many *times*."""
        self.waits(lambda: len(self.events(name)) >= times, f"{name}, {times} times")

    def waits(self, true: Callable[[], bool], what: str) -> None:
        """Wait until *true* is, or the capture has ended, which is wrong."""
        try:
            until(lambda: true() or not self.thread.is_alive(), what)
            assert true(), f"it has ended before: {what}; {self.failure!r}"
        except AssertionError as failure:
            raise AssertionError(f"{failure}; it said {self._kept.entries}") from None

    def ended(self) -> BaseException | None:
        """Wait for its end, and return what it raised."""
        self.thread.join(30)
        assert not self.thread.is_alive()
        return self.failure

    def stop(self) -> None:
        """Stop it, and check that it ends in good order."""
        self.capture.stop()
        failure = self.ended()
        if failure is not None:
            raise failure


class Running(Background):
    """A capture of *source* into *store*, in the background."""

    def __init__(
        self,
        source: Source,
        store: ObjectStore,
        commit: GroupCommit = AT_ONCE,
        every: str = "@every 1h",
        spools: Spools | None = None,
        spool_max_bytes: int = 1 << 30,
        *,
        readback: Pace | None = None,
        meter: Meter | None = None,
        cadence: Cadence = OFTEN,
    ) -> None:
        bound, kept = quiet_log()
        clock = source.clock if isinstance(source, ModelSource) else SystemClock()
        connections = chain([source], (source.again() for _ in repeat(None)))  # type: ignore[attr-defined]

        def connect() -> Link:
            return Link(
                source=next(connections),
                prefix=PREFIX,
                store=store,
                spools=spools or NoSpool(),
                peers=Strangers(),
                clock=clock,
                log=bound,
                meter=meter or Silent(),
            )

        self.store = store
        rules = CaptureRules(commit, Schedule(every), spool_max_bytes, SILENCE_S, readback)
        super().__init__(Capture(connect, rules, LeaseRules(SILENCE_S, cadence)), kept)

    def stores(self, revision: int) -> None:
        """Wait until *revision* is durable."""
        self.waits(
            lambda: any(event["revision"] >= revision for event in self.events("segment.stored")),
            f"revision {revision} stored",
        )


@contextmanager
def capturing(source: Source, store: ObjectStore, commit: GroupCommit = AT_ONCE) -> Iterator[Running]:
    """Run a capture that watches for the time of the block, which must find it alive at its end."""
    running = Running(source, store, commit)
    try:
        running.tells("watch.started")
        yield running
    except BaseException:
        running.capture.stop()
        raise
    running.stop()


def segments(store: ObjectStore, epoch: int = 1) -> list[Segment]:
    """Return every segment in the log of *epoch*."""
    return [objects.decode_segment(store.get(str(name)), str(name)) for name in log(store, epoch)]


def batches(store: ObjectStore, epoch: int = 1) -> list[Batch]:
    """Return every batch in the log of *epoch*."""
    return [batch for segment in segments(store, epoch) for batch in segment.batches]


def recorded(store: ObjectStore) -> list[tuple[int, int]]:
    """Return epoch and revision of every batch in *store*, as the log has them."""
    numbers = [epoch.epoch for epoch in open_archive(store).epochs]
    return [(number, batch.revision) for number in numbers for batch in batches(store, number)]


def new_source() -> ModelSource:
    """Return the source of an etcd that holds a key at revision 2."""
    etcd = EtcdModel()
    etcd.put(b"/apisix/a", b"1")
    return ModelSource(etcd)


def put(source: ModelSource, value: bytes) -> int:
    """Put a key; return the revision."""
    with source.changing() as etcd:
        etcd.put(b"/apisix/a", value)
        return etcd.head


def check(store: MemoryStore, etcd: EtcdModel, base: int) -> None:
    """Check that *store* has recorded every change since *base* once, and restores each as *etcd* held it."""
    changes = [revision for revision, _ in etcd.history if revision > base]
    assert changes == [revision for _, revision in recorded(store)]
    for revision in range(base, max([base, *changes]) + 1):
        assert sorted(etcd.states[revision].items()) == list(
            restore(store, AtRevision(revision)).state.items()
        )


def reasons(store: MemoryStore) -> list[str]:
    """Return why each epoch was opened."""
    return [epoch.reason for epoch in open_archive(store).epochs]
