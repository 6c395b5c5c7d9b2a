"""Follow etcd's watch: reconnect, check that it is still the etcd that we left, stamp what comes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from replicator.core.records import Window
from replicator.core.stamp import Stamper
from replicator.errors import Compacted, SourceUnavailable
from replicator.flows.lineage import break_in_lineage
from replicator.flows.tip import Watermark

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from threading import Event

    from replicator.core.records import Batch
    from replicator.core.stamp import Unstamped
    from replicator.flows.inbox import Inbox
    from replicator.flows.link import Link
    from replicator.flows.tip import Tip
    from replicator.ports import Delivery, SourceStatus

# A bookmark comes each second. After a longer silence what arrives may be old: the inbox was full, the
# process was suspended, the network stood still.
_LIVE_WITHIN = timedelta(seconds=5)

_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 5.0

_SEAL_PATIENCE_S = 5.0
_SEAL_POLL_S = 0.01


class Follower:
    """Puts all that happens after *tip* into *inbox*, until *stopping* is set or the history breaks."""

    def __init__(self, link: Link, tip: Tip, inbox: Inbox, stopping: Event) -> None:
        self._link = link
        self._tip = tip
        self._inbox = inbox
        self._stopping = stopping
        self._stamper = Stamper(tip.watermark.moment)
        self._known_until = _known_until(tip)
        self._cursor = tip.watermark.revision
        self._delay_s = _FIRST_DELAY_S
        self._lost_at: float | None = None

    def lost_for_s(self) -> float:
        """Return for how many seconds etcd has been out of reach; 0 if it isn't. For any thread."""
        lost_at = self._lost_at
        return 0.0 if lost_at is None else self._link.clock.monotonic() - lost_at

    def follow(self) -> str | None:
        """Return why etcd's history doesn't continue ours, as `Epoch.reason` says it; None when stopped.

        An etcd that is away is waited for.
        """
        while not self._stopping.is_set():
            try:
                self._await_seal()
                asked_at = self._link.clock.now()
                status = self._link.source.status()
                asked = Window(asked_at, self._link.clock.now())
                # The watch first: else etcd could be exchanged between the comparison and the watch.
                deliveries = self._begin()
                reason = break_in_lineage(self._link.source, status, self._tip, self._cursor)
                if reason is not None or deliveries is None:
                    self._lost_at = None
                    return reason or "compacted"
                self._watch(deliveries, status, asked)
            except Compacted:
                return "compacted"
            except SourceUnavailable as error:
                if self._lost_at is None:
                    self._lost_at = self._link.clock.monotonic()
                self._link.meter.count("watch_reconnects_total")
                self._link.log.warning("watch.lost", cause=str(error), retry_in_s=self._delay_s)
                self._stopping.wait(self._delay_s)
                self._delay_s = min(2 * self._delay_s, _LONGEST_DELAY_S)
        return None

    def _begin(self) -> Iterable[Delivery] | None:
        """Begin to watch what follows the cursor; None if etcd no longer holds that."""
        try:
            return self._link.source.watch(self._cursor)
        except Compacted:
            return None

    def _await_seal(self) -> None:
        """Let all that came be sealed, so that the lineage is compared at the cursor itself.

        Not for ever: while the store is away nothing is sealed, and etcd may be compacting.
        """
        self._inbox.flush()
        deadline = self._link.clock.monotonic() + _SEAL_PATIENCE_S
        while self._tip.sealed[0] < self._cursor and self._link.clock.monotonic() < deadline:
            if self._stopping.wait(_SEAL_POLL_S):
                return

    def _watch(self, deliveries: Iterable[Delivery], status: SourceStatus, asked: Window) -> None:
        """Take *deliveries* until they end; what was committed by *status* comes late.

        Args:
            deliveries: What the watch gives.
            status: What etcd said of itself.
            asked: Between these moments it said so.
        """
        self._heard_of(status.head)
        missed = Window(self._known_until, max(self._known_until, asked.not_after))
        if status.head == self._cursor:
            self._observe(Watermark(status.head, asked.not_before))
        self._link.log.info("watch.started", after=self._cursor, head=status.head)
        seen_whole_at = asked.not_before if status.tells_progress else None
        if not status.tells_progress:
            self._lost_at = None  # it may have nothing to say for minutes
        for delivery in deliveries:
            self._lost_at = None
            self._delay_s = _FIRST_DELAY_S  # a stream that ends before it says anything is none
            late = [revision for revision in delivery.revisions if revision[0] <= status.head]
            self._inbox.put(self._stamper.late(late, missed))
            self._inbox.put(self._stamp(delivery.revisions[len(late) :], delivery.at, seen_whole_at))
            if delivery.revisions:
                self._cursor = delivery.revisions[-1][0]
            if delivery.through is not None:
                self._cursor = delivery.through
                seen_whole_at = delivery.at if status.tells_progress else None
                self._observe(Watermark(delivery.through, delivery.at))
            if not self._inbox.is_closed:
                self._link.log.debug("watch.progressed", revision=self._cursor)
            self._heard_of(self._cursor)

    def _heard_of(self, head: int) -> None:
        self._link.meter.set("etcd_head_revision", head)
        self._link.meter.set("lag_revisions", max(0, head - self._tip.sealed[0]))

    def _stamp(self, news: Sequence[Unstamped], at: datetime, seen_whole_at: datetime | None) -> list[Batch]:
        """Stamp what arrived at *at*; *seen_whole_at* is the last bookmark's moment, if there are any."""
        if seen_whole_at is not None and at - seen_whole_at > _LIVE_WITHIN:
            known_until = max(seen_whole_at, self._stamper.last)
            return self._stamper.late(news, Window(known_until, max(known_until, at)))
        batches = self._stamper.live(news, at)
        if batches:
            self._known_until = self._stamper.last
        return batches

    def _observe(self, watermark: Watermark) -> None:
        moment = self._known_until = self._stamper.observed(watermark.moment)
        self._inbox.observe(Watermark(watermark.revision, moment))


def _known_until(tip: Tip) -> datetime:
    """Return the moment until which all that was committed is in *tip*.

    Of changes that arrived late together, some may be stored and others not.
    """
    watermark = tip.watermark
    if tip.window is None or (watermark.revision, watermark.moment) != (tip.state.revision, tip.observed_at):
        return watermark.moment
    return tip.window.not_before
