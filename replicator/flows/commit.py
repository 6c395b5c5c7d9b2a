"""From the inbox to the store: segments as they fall due, then snapshots and the checkpoint behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.flows.accounts import sealed

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from replicator.flows.accounts import Accounts
    from replicator.flows.checkpoints import Checkpoints
    from replicator.flows.inbox import Haul, Inbox
    from replicator.flows.persist import Persistence
    from replicator.flows.snapshots import Snapshots
    from replicator.flows.tip import Tip

# How often snapshots and the checkpoint are considered while nothing happens.
_PATIENCE_S = 1.0


class Committer:
    """Moves one epoch's log on, in one thread: a segment is durable before the next one is begun."""

    def __init__(
        self,
        persistence: Persistence,
        snapshots: Snapshots,
        checkpoints: Checkpoints,
        accounts: Accounts,
        log: FilteringBoundLogger,
    ) -> None:
        self._persistence = persistence
        self._snapshots = snapshots
        self._checkpoints = checkpoints
        self._accounts = accounts
        self._log = log

    def commit(self, inbox: Inbox, tip: Tip) -> None:
        """Store all that comes into *inbox* behind *tip*, until it is closed and empty.

        Raises:
            WriterFenced: Another writer extended the log.
            StoreUnavailable: The store was still away when the inbox was closed.
        """
        self._accounts.began(tip)
        is_last = False
        while not is_last:
            haul = inbox.take(_PATIENCE_S)
            is_last = haul.is_last
            self._append(tip, haul)
            self._snapshots.consider(tip, is_urgent=self._accounts.is_broken)
            self._checkpoints.consider(tip)
        self._snapshots.finish()
        self._checkpoints.write(tip)

    def _append(self, tip: Tip, haul: Haul) -> None:
        if haul.batches:
            name, body = tip.seal(haul.batches, haul.watermark)
            self._persistence.create(name, body)
            self._log.info(
                "segment.stored",
                object=name,
                revision=tip.state.revision,
                revisions=len(haul.batches),
                size_bytes=len(body),
            )
            self._accounts.segment_stored(sealed(tip, name, body))
        elif haul.watermark is not None:
            tip.observe(haul.watermark)
            self._accounts.observed(tip)
