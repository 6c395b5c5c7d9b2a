"""From the inbox to the spool: segments as they fall due, and snapshots behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replicator.flows.accounts import Accounts
    from replicator.flows.housekeeping import Housekeeping
    from replicator.flows.inbox import Haul, Inbox
    from replicator.flows.ship import Shipper
    from replicator.flows.snapshots import Snapshots
    from replicator.flows.spool import Spool
    from replicator.flows.tip import Tip

# How often snapshots are considered while nothing happens.
_PATIENCE_S = 1.0


class Committer:
    """Seals one epoch's changes, in one thread, as far as the spool has room for them."""

    def __init__(
        self,
        spool: Spool,
        shipper: Shipper,
        snapshots: Snapshots,
        accounts: Accounts,
        housekeeping: Housekeeping,
    ) -> None:
        self._spool = spool
        self._housekeeping = housekeeping
        self._shipper = shipper
        self._snapshots = snapshots
        self._accounts = accounts

    def commit(self, inbox: Inbox, tip: Tip) -> None:
        """Seal all that comes into *inbox* behind *tip*, until it is closed and empty, or all is given up."""
        is_last = False
        while not is_last and not self._spool.is_abandoned:
            if self._spool.await_room(_PATIENCE_S):
                haul = inbox.take(_PATIENCE_S)
                is_last = haul.is_last
                self._seal(tip, haul)
            if self._snapshots.consider(tip, is_urgent=self._accounts.is_broken):
                self._spool.mark_boundary()
                self._snapshots.stored(self._shipper.end)
            stored = self._shipper.end.position
            self._housekeeping.consider(stored.epoch, stored.revision, tip.snapshot_revision)

    def _seal(self, tip: Tip, haul: Haul) -> None:
        if haul.batches:
            # With nothing in between, what is stored is what the next segment follows, however it was joined.
            tip.anchor = self._spool.anchor() or self._shipper.end.anchor
            self._spool.put(tip.seal(haul.batches, haul.watermark))
        elif haul.watermark is not None:
            tip.observe(haul.watermark)
            self._accounts.observed(tip)
