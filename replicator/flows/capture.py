"""Record every change: follow etcd's watch into the archive, until told to stop."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.errors import SourceUnavailable
from replicator.flows.accounts import Accounts
from replicator.flows.begin import begin
from replicator.flows.checkpoints import Checkpoints
from replicator.flows.commit import Committer
from replicator.flows.follow import Follower
from replicator.flows.inbox import Inbox
from replicator.flows.open_epoch import open_epoch, read_base
from replicator.flows.persist import Persistence
from replicator.flows.readback import Readback
from replicator.flows.snapshots import Snapshots

if TYPE_CHECKING:
    from replicator.core.schedule import Schedule
    from replicator.flows.checkpoints import Cadence
    from replicator.flows.inbox import GroupCommit
    from replicator.flows.link import Link
    from replicator.flows.readback import Pace
    from replicator.flows.tip import Tip

# Beyond this the watch is made to wait; etcd keeps what it has not sent.
_INBOX_LIMIT_BYTES = 64 << 20

_RETRY_S = 2.0


@dataclass(frozen=True, slots=True)
class CaptureRules:
    """When to cut segments, snapshots at the latest, how often to tell how far we saw, and to read back."""

    commit: GroupCommit
    schedule: Schedule
    cadence: Cadence
    readback: Pace | None = None


class Capture:
    """Records one link; `run` is called once, `stop` from any thread."""

    def __init__(self, link: Link, rules: CaptureRules) -> None:
        self._link = link
        self._rules = rules
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._persistence = Persistence(link.store, self._stopping, link.log)

    def stop(self) -> None:
        """Let `run` flush what has come, and return."""
        self._stopping.set()
        self._link.source.interrupt()

    def run(self) -> None:
        """Record until `stop` is called; all that came by then is durable when this returns.

        An etcd or a store that goes away later than at the start is waited for.

        Raises:
            UsageError: The archive is another prefix's, or etcd holds nothing under the prefix.
            SourceUnavailable: etcd can't be reached at the start, or refuses us.
            StoreUnavailable: The same of the store; or it is away when we are to stop.
            WriterFenced: Another writer extended the log.
            ArchiveDamaged: The log's tail can't be replayed.
        """
        tip: Tip | None = begin(self._link, self._patient_with_nothing())
        while tip is not None:
            reason = self._record(tip)
            tip = self._open_next(tip, reason) if reason is not None else None
        self._link.log.info("capture.stopped")

    def _patient_with_nothing(self) -> Persistence:
        """At the start nothing would be lost by giving up, and somebody reads what we say."""
        at_once = threading.Event()
        at_once.set()
        return Persistence(self._link.store, at_once, self._link.log)

    def _open_next(self, tip: Tip, reason: str) -> Tip | None:
        """Open the epoch after *tip*'s as soon as etcd lets itself be read; None if we are to stop before."""
        self._link.log.error("lineage.broken", reason=reason, revision=tip.state.revision)
        while not self._stopping.is_set():
            try:
                base = read_base(self._link)
                return open_epoch(self._link, self._persistence, base, tip.archive_id, reason, tip)
            except SourceUnavailable as error:
                self._link.log.warning("source.unavailable", cause=str(error), retry_in_s=_RETRY_S)
                self._stopping.wait(_RETRY_S)
        return None

    def _record(self, tip: Tip) -> str | None:
        """Record one epoch; return why it ended, or None when we are to stop."""
        inbox = Inbox(self._rules.commit, _INBOX_LIMIT_BYTES, self._link.clock)
        committing = threading.Thread(target=self._commit, args=(inbox, tip), name="commit", daemon=True)
        committing.start()
        try:
            return Follower(self._link, tip, inbox, self._stopping).follow()
        finally:
            inbox.close()
            committing.join()
            if self._failure is not None:
                raise self._failure

    def _commit(self, inbox: Inbox, tip: Tip) -> None:
        """Commit in a thread of its own; a failure there ends the watch here."""
        link = self._link
        try:
            readback = Readback(link.store, link.clock, link.log, link.meter, self._rules.readback)
            readback.start()
            try:
                self._committer(Accounts(link.meter, readback, link.clock)).commit(inbox, tip)
            finally:
                readback.finish()
        except BaseException as failure:  # noqa: BLE001 (it is raised again in `_record`)
            self._failure = failure
            self.stop()
            inbox.close()

    def _committer(self, accounts: Accounts) -> Committer:
        link, rules = self._link, self._rules
        snapshots = Snapshots(link.store, rules.schedule, link.clock, link.log, accounts.snapshot_stored)
        checkpoints = Checkpoints(link.store, rules.cadence, link.clock, link.log)
        return Committer(self._persistence, snapshots, checkpoints, accounts, link.log)
