"""One term as the writer: from the lease in hand to the lease given back, through all its epochs."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replicator.errors import SourceUnavailable, StoreUnavailable, WriterFenced
from replicator.flows.accounts import Accounts
from replicator.flows.append import Appender
from replicator.flows.begin import begin
from replicator.flows.commit import Committer
from replicator.flows.follow import Follower
from replicator.flows.gaps import OpenGaps
from replicator.flows.housekeeping import Housekeeping, HousekeepingRules
from replicator.flows.inbox import Inbox
from replicator.flows.latest import Publisher
from replicator.flows.open_epoch import open_epoch, read_base
from replicator.flows.persist import Persistence
from replicator.flows.readback import Readback
from replicator.flows.recover import recover
from replicator.flows.ship import Shipper
from replicator.flows.snapshots import Snapshots
from replicator.flows.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replicator.core.schedule import Schedule
    from replicator.core.state import State
    from replicator.flows.inbox import GroupCommit
    from replicator.flows.latest import LatestObject
    from replicator.flows.lease import Lease, Standing
    from replicator.flows.link import Link
    from replicator.flows.open_epoch import Base
    from replicator.flows.readback import Pace, Stored
    from replicator.flows.tip import LogEnd, Tip
    from replicator.ports import ObjectStore

# Beyond this the watch is made to wait; etcd keeps what it has not sent.
_INBOX_LIMIT_BYTES = 64 << 20

_RETRY_S = 2.0
_BEAT_S = 0.25


class LeaseYielded(WriterFenced):
    """etcd is out of our reach while somebody stands by who may reach it."""


@dataclass(frozen=True, slots=True)
class CaptureRules:
    """What is written when, how much may wait on disk, what is read back, tidied up, kept in plain form."""

    commit: GroupCommit
    schedule: Schedule
    spool_max_bytes: int = 1 << 30
    yield_after_s: float = 30.0
    readback: Pace | None = None
    housekeeping: HousekeepingRules = field(default_factory=HousekeepingRules)
    latest: LatestObject | None = None


class Term:
    """Records *link* while *lease* is ours; `run` is called once, `end` from any thread.

    Args:
        link: What is recorded, and where to.
        rules: What is written when.
        lease: Ours.
        needs_spool: Whether a spool that can't be had is an error; else what waits, waits in memory.

    Attributes:
        has_begun: Whether all was there that is needed to record; what fails later may be waited for.
    """

    def __init__(self, link: Link, rules: CaptureRules, lease: Lease, *, needs_spool: bool = True) -> None:
        self._link = link
        self._rules = rules
        self._lease = lease
        self._open_gaps = OpenGaps(link.store, link.meter, link.clock)
        self._needs_spool = needs_spool
        self._ending = threading.Event()
        self._over = threading.Event()
        self._failure: BaseException | None = None
        self.has_begun = False
        self._persistence = Persistence(link, self._ending, lease)
        self._housekeeping = Housekeeping(link.store, rules.housekeeping, link.clock, link.log)
        self._follower: Follower | None = None
        self._etcd_lost_at: float | None = None
        self._inbox: Inbox | None = None
        self._spool: Spool | None = None
        self._standing: Callable[[], Standing | None] = lambda: None

    def end(self) -> None:
        """Let `run` flush what has come, and return."""
        self._ending.set()
        self._link.source.interrupt()

    def run(self) -> None:
        """Record until `end` is called; all that came by then is durable when this returns.

        An etcd or a store that goes away later than at the start is waited for.

        Raises:
            UsageError: The archive is another prefix's, or etcd holds nothing under the prefix.
            SourceUnavailable: etcd can't be reached at the start, or refuses us.
            StoreUnavailable: The same of the store; or it is away when we are to end.
            WriterFenced: Another writer has taken over, or extended the log.
            ArchiveDamaged: The log's tail can't be replayed.
        """
        beating = threading.Thread(target=self._beat, name="lease", daemon=True)
        beating.start()
        try:
            tip: Tip | None = begin(self._link, self._patient_with_nothing())
            while tip is not None:
                self._raise_failure()
                reason = self._record(tip)
                tip = self._open_next(tip, reason) if reason is not None else None
            self._raise_failure()
        finally:
            self._housekeeping.finish()
            self._over.set()
            beating.join()
            try:
                self._give_back()
            finally:
                self._link.spools.release()

    def _give_back(self) -> None:
        if isinstance(self._failure, StoreUnavailable) and self._lease.is_out_of_reach:
            return  # one that waits for us to end shall not wait for one more call to fail
        with suppress(WriterFenced):
            self._lease.give_back(self._standing())

    def _patient_with_nothing(self) -> Persistence:
        """At the start nothing would be lost by giving up, and somebody reads what we say."""
        at_once = threading.Event()
        at_once.set()
        return Persistence(self._link, at_once, self._lease)

    def _open_next(self, tip: Tip, reason: str) -> Tip | None:
        """Open the epoch after *tip*'s as soon as etcd lets itself be read; None if we are to end before."""
        self._link.log.error("lineage.broken", reason=reason, revision=tip.state.revision)
        while not self._ending.is_set():
            try:
                forgotten = tip.watermark.revision if reason == "compacted" else 0
                base = read_base(self._link, forgotten)
                self._etcd_lost_at = None
                reason = _reason(reason, base, tip)
                return open_epoch(self._link, self._persistence, base, tip.archive_id, reason, tip)
            except SourceUnavailable as error:
                self._etcd_lost_at = self._etcd_lost_at or self._link.clock.monotonic()
                self._link.log.warning("source.unavailable", cause=str(error), retry_in_s=_RETRY_S)
                self._ending.wait(_RETRY_S)
        return None

    def _record(self, tip: Tip) -> str | None:
        """Record one epoch; return why it ended, or None when we are to end. *tip* is then all stored."""
        link = self._link
        end, at_begin = tip.log_end, tip.state.copy()
        readback = Readback(link.store, link.clock, link.log, link.meter, self._rules.readback)
        accounts = Accounts(link.meter, readback, link.clock)
        accounts.began(tip)
        place, left = self._folders(tip.archive_id)
        spool = Spool(place, self._rules.spool_max_bytes, link.log, link.meter)
        spool.adopt(recover(tip, left, link.store, link.log))
        link.continue_from(tip.state, tip.watermark.revision)
        appender = Appender(link.store, self._persistence, self._lease.prove, link.log)
        shipper = Shipper(spool, appender, accounts, tip.header("segment"), end, link.log)
        schedule, prove = self._rules.schedule, self._lease.prove
        publisher = Publisher(self._rules.latest, link.log, self._lease.prove)

        def snapshot_stored(stored: Stored, state: State) -> None:
            accounts.snapshot_stored(stored)
            publisher.offer(stored.position, stored.moment, state)

        snapshots = Snapshots(link.store, schedule, link.clock, link.log, snapshot_stored, prove)
        inbox = Inbox(self._rules.commit, _INBOX_LIMIT_BYTES, link.clock)
        self._spool, self._inbox = spool, inbox
        self._standing = lambda: _standing(tip, shipper.end)
        self.has_begun = True
        publisher.offer(end.position, end.watermark.moment, at_begin)
        del at_begin  # it would hold on to each value that changes, as long as the epoch lasts
        readback.start()
        limit_bytes = min(self._rules.commit.size_bytes, _INBOX_LIMIT_BYTES)
        shipping = self._start("ship", lambda: shipper.ship(limit_bytes, snapshots.stored))
        committer = Committer(spool, shipper, snapshots, accounts, self._housekeeping)
        committing = self._start("commit", lambda: committer.commit(inbox, tip))
        self._follower = Follower(link, tip, inbox, self._ending)
        try:
            return self._follower.follow()
        finally:
            inbox.close()
            committing.join()
            spool.close()
            shipping.join()
            snapshots.finish()
            publisher.finish()
            readback.finish()
            self._raise_failure()
            tip.anchor = shipper.end.anchor

    def _folders(self, archive_id: str) -> tuple[ObjectStore | None, Sequence[ObjectStore]]:
        """Return our folder of the spool, and those of the writers before us."""
        spools = self._link.spools
        try:
            return spools.own(archive_id, self._link.writer), spools.left(archive_id)
        except StoreUnavailable as error:
            if self._needs_spool:
                raise
            cause = str(error)
        self._link.log.error("spool.unavailable", object="", cause=cause)
        return None, ()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _start(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """Do *work* in a thread of its own; its failure ends the term."""

        def attempt() -> None:
            try:
                work()
            except BaseException as failure:  # noqa: BLE001 (it is raised again in `_record`)
                self._fail(failure)

        thread = threading.Thread(target=attempt, name=name, daemon=True)
        thread.start()
        return thread

    def _fail(self, failure: BaseException) -> None:
        self._failure = self._failure or self._told(failure)
        self.end()
        if self._spool is not None:
            self._spool.abandon()
        if self._inbox is not None:
            self._inbox.close()

    def _told(self, failure: BaseException) -> BaseException:
        """Say of a store that is away at the end what becomes of the changes that it doesn't have."""
        if not isinstance(failure, StoreUnavailable) or self._spool is None:
            return failure
        segments, size_bytes = self._spool.load
        if not segments or not self._spool.is_durable:
            return failure
        return type(failure)(
            f"{failure}; {segments} segments ({size_bytes} bytes) wait in the spool",
            hint=f"start it here again: it stores them first; {failure.hint}",
        )

    def _beat(self) -> None:
        """Renew the lease, and give it up where another may do better, until the term is over."""
        while not self._over.wait(_BEAT_S):
            try:
                standing = self._standing()
                self._lease.consider(standing)
                self._yield_if_cut_off()
                if standing is not None:
                    self._open_gaps.consider(standing[0].epoch)
            except BaseException as failure:  # noqa: BLE001 (it is raised again in `_record`)
                self._fail(failure)
                return

    def _yield_if_cut_off(self) -> None:
        lost_s = self._follower.lost_for_s() if self._follower is not None else 0.0
        if self._etcd_lost_at is not None:
            lost_s = self._link.clock.monotonic() - self._etcd_lost_at
        if self._lease.has_standby and lost_s > self._rules.yield_after_s:
            raise LeaseYielded("etcd is out of reach, and another writer stands by")


def _reason(reason: str, base: Base, tip: Tip) -> str:
    """Return why the epoch after *tip*'s is opened: etcd may be another one than when its history broke."""
    if base.status.cluster_id != tip.epoch.cluster_id:
        return "cluster_changed"
    return "rewound" if base.status.head < tip.watermark.revision else reason


def _standing(tip: Tip, end: LogEnd) -> Standing:
    """Return where the stored log ends, and how far it is known: further than it says, if nothing waits."""
    revision, watermark = tip.seen
    return end.position, watermark if revision == end.position.revision else end.watermark
