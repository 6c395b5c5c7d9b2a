"""Archives made to measure: what a capture writes, cut wherever a test wants it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING

import structlog
from etcd_model import EtcdModel
from generators import START, played, steps
from hypothesis import strategies as st
from memory_store import MemoryStore
from servers.clock import SteppedClock
from structlog.testing import LogCapture

from replicator.adapters.spool_folder import NoSpool
from replicator.core import documents, names
from replicator.core.documents import Archive, Checkpoint
from replicator.core.records import Batch
from replicator.core.state import State
from replicator.flows.link import Link
from replicator.flows.open_epoch import Base, open_epoch
from replicator.flows.persist import Persistence
from replicator.flows.snapshots import Snapshots
from replicator.flows.tip import Watermark
from replicator.ports import SourceStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicator.core.records import Record
    from replicator.flows.tip import Tip

PREFIX = "/apisix"
TICK = timedelta(microseconds=1)


class Always:
    """A schedule of which every moment is one."""

    def next_after(self, moment: datetime) -> datetime:
        """Return the moment itself."""
        return moment


def quiet_log() -> tuple[structlog.typing.FilteringBoundLogger, LogCapture]:
    """Return a log, and what keeps all that is said to it."""
    kept = LogCapture()
    return structlog.wrap_logger(None, processors=[kept]), kept


class Strangers:
    """`Peers` of whom nobody is ever known to be gone."""

    def me(self) -> str:
        """Return nothing that says anything."""
        return ""

    def is_gone(self, process: str) -> bool:  # noqa: ARG002 (the port's)
        """Tell that nobody knows."""
        return False


def link_of(store, clock, log, writer: str, source=None) -> Link:
    """Return a link into *store* without a spool; *source* may be left out where nothing is asked of it."""
    return Link(source, PREFIX, store, NoSpool(), Strangers(), clock, log, writer)


@dataclass
class Known:
    """What an epoch of a written archive must answer: its stamps, and what etcd held.

    Attributes:
        number: The epoch's.
        states: What etcd held at each revision of this epoch.
        stamps: The base's revision and every recorded one, with their stamps, in order.
        through: How far it is known.
    """

    number: int
    states: Mapping[int, dict[bytes, Record]]
    stamps: list[tuple[int, datetime]]
    through: Watermark


@dataclass
class Scribe:
    """Writes an archive with the parts of a capture, but without its threads; *known* is the answer to it."""

    store: MemoryStore
    archive_id: str = "some-archive"
    writer: str = "some-writer"
    known: list[Known] = field(default_factory=list)
    tip: Tip | None = None

    def __post_init__(self) -> None:
        """Found the archive."""
        archive = Archive(format=1, archive_id=self.archive_id, prefix=PREFIX, created_at=START)
        self.store.create(names.ARCHIVE, documents.encode(archive))
        self._checkpoint: bytes | None = None
        self._clock = SteppedClock()
        self._log, _ = quiet_log()
        link = link_of(self.store, self._clock, self._log, self.writer)
        self._persistence = Persistence(link, Event())

    def open(self, etcd: EtcdModel, at: datetime, reason: str = "first") -> None:
        """Open an epoch with what *etcd* holds now, read at *at*."""
        link = link_of(self.store, self._clock, self._log, self.writer)
        state = State(etcd.head)
        for key, record in etcd.states[etcd.head].items():
            state.add(key, record)
        base = Base(SourceStatus("c1", "3.5.16", etcd.head), state, at)
        self.tip = open_epoch(link, self._persistence, base, self.archive_id, reason, self.tip)
        epoch = self.tip.epoch
        stamps = [(epoch.base, epoch.observed_at)]
        self.known.append(Known(epoch.epoch, etcd.states, stamps, self.tip.watermark))

    def append(self, batches: list[Batch], watermark: Watermark | None = None) -> str:
        """Store *batches* as one segment; return its name."""
        assert self.tip is not None
        name, body, *_ = self.tip.seal(tuple(batches), watermark)
        self._persistence.create(str(name), body)
        self.known[-1].stamps += [(batch.revision, batch.observed_at) for batch in batches]
        self.known[-1].through = self.tip.watermark
        return str(name)

    def snapshot(self) -> None:
        """Cut a snapshot where the log ends."""
        assert self.tip is not None
        snapshots = Snapshots(self.store, Always(), self._clock, self._log)  # type: ignore[arg-type]
        snapshots.consider(self.tip)
        snapshots.stored(self.tip.log_end)
        snapshots.finish()

    def watch_on(self, watermark: Watermark) -> None:
        """Note in the checkpoint that nothing happened up to *watermark*."""
        assert self.tip is not None
        self.tip.observe(watermark)
        self.known[-1].through = self.tip.watermark
        checkpoint = Checkpoint(
            position=self.tip.position,
            through_revision=self.tip.watermark.revision,
            observed_through=self.tip.watermark.moment,
            writer=self.writer,
            written_at=self._clock.now(),
        )
        held, self._checkpoint = self._checkpoint, documents.encode(checkpoint)
        self.store.replace(names.CHECKPOINT, held, self._checkpoint)


pauses = st.sampled_from([TICK, timedelta(seconds=0.5), timedelta(seconds=3)])


@st.composite
def archives(draw, pauses=pauses, make_store=MemoryStore) -> Scribe:
    """Return a scribe that has written an archive of up to three epochs, cut at random everywhere."""
    scribe = Scribe(make_store())
    etcd = EtcdModel(draw(st.integers(1, 9)))
    now = START
    for number in range(draw(st.integers(1, 3))):
        if number and draw(st.booleans()):  # etcd is set back
            revision = draw(st.sampled_from(sorted(etcd.states)))
            etcd = EtcdModel(revision, etcd.states[revision])
        played(etcd, draw(steps))  # while nobody watches
        now += draw(pauses)
        scribe.open(etcd, now)
        unseen = len(etcd.history)
        played(etcd, draw(steps))
        waiting: list[Batch] = []
        for revision, events in etcd.history[unseen:]:
            now += draw(pauses)
            waiting.append(Batch(revision, now, events))
            if draw(st.booleans()):
                continue
            now += draw(pauses)
            scribe.append(waiting, Watermark(revision, now) if draw(st.booleans()) else None)
            waiting = []
            if draw(st.booleans()):
                scribe.snapshot()
        now += draw(pauses)
        watermark = Watermark(etcd.head, now)
        if waiting:
            scribe.append(waiting, watermark if draw(st.booleans()) else None)
        if draw(st.booleans()):
            scribe.watch_on(watermark)
    return scribe


def written(cut_after: tuple[int, ...] = ()) -> Scribe:
    """Return a scribe that has written a base at revision 2 and six segments of a revision each: 3 to 8."""
    scribe, etcd = Scribe(MemoryStore()), EtcdModel()
    etcd.put(b"/apisix/a", b"0")
    scribe.open(etcd, START)
    for number in range(1, 7):
        etcd.put(b"/apisix/a", b"%d" % number)
        scribe.append([Batch(etcd.head, START + timedelta(seconds=number), etcd.history[-1][1])])
        if number in cut_after:
            scribe.snapshot()
    return scribe


def segments(scribe: Scribe) -> list[str]:
    """Return the names of all segments of its first epoch."""
    return list(scribe.store.names("e00000001/log/"))
