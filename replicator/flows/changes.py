"""The history: what happened to some keys, revision by revision, with what each key held before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from replicator.core.frame import DAMAGE_HINT
from replicator.core.names import LogName
from replicator.core.plan import is_before, spans
from replicator.core.scan import Selection, scan_piece, scan_snapshot
from replicator.errors import ArchiveDamaged, ObjectMissing
from replicator.flows.fetch import fetch_read
from replicator.flows.open_archive import open_archive, pieces, snapshots, thinned_through
from replicator.flows.progress import UNWATCHED, stepping

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from replicator.core.names import PieceName, SnapshotName
    from replicator.core.plan import Span, Target
    from replicator.core.records import Batch, Record, Window
    from replicator.core.scan import ScannedPiece
    from replicator.flows.open_archive import Opened
    from replicator.flows.progress import Progress
    from replicator.ports import ObjectStore

# How often the way on is planned anew, while merging takes away what was going to be read.
_PLANS = 3

# Each has an object's text in memory, up to 64 MiB as merging makes them; more threads than cores are no use.
_AT_ONCE = 3

EVERYTHING = Selection(b"")


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What happened to one key: what it held before and after; None where it wasn't there."""

    key: bytes
    before: Record | None
    after: Record | None


@dataclass(frozen=True, slots=True)
class Change:
    """One revision: a transaction, or what the end of a lease took away.

    Attributes:
        epoch: The epoch's number.
        revision: etcd's.
        observed_at: Its stamp.
        window: Where its commit must lie, if it arrived late; None if it was seen live.
        changes: What happened to the keys that were asked for: at least one.
        others: How many other keys it changed.
        is_expiry: It took away keys that hung on a lease, and did nothing else: the lease ended. (A delete
            of just these keys looks the same.)
    """

    epoch: int
    revision: int
    observed_at: datetime
    window: Window | None
    changes: tuple[KeyChange, ...]
    others: int = 0
    is_expiry: bool = False


@dataclass(frozen=True, slots=True)
class Break:
    """A stretch of which the single changes aren't known, but only what came of them.

    Attributes:
        kind: ``gap``: nobody recorded them, and an epoch begins; ``thinned``: retention took them.
        reason: Of a gap: why the epoch was opened.
        epoch: The epoch that goes on behind it.
        begins_at: Until this moment all is known.
        revision: From this revision on all is known again.
        observed_at: Its stamp.
        changes: What differs across it of the keys that were asked for.
    """

    kind: Literal["gap", "thinned"]
    reason: str
    epoch: int
    begins_at: datetime
    revision: int
    observed_at: datetime
    changes: tuple[KeyChange, ...]


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a history begins: the revision, its stamp, and what the keys held there."""

    revision: int
    observed_at: datetime
    held: dict[bytes, Record]


class History:
    """Reads the history of some keys, from a moment on; for one thread.

    Args:
        store: Where the archive is.
        selection: Which keys.
        since: What lies before this is passed over; None for nothing.
        until: What lies behind it isn't read; None for the log's end.
        progress: Hears of each object of the log that is read.

    Attributes:
        beginning: Where it begins, as soon as something was read.
    """

    def __init__(
        self,
        store: ObjectStore,
        selection: Selection = EVERYTHING,
        since: Target | None = None,
        until: Target | None = None,
        progress: Progress = UNWATCHED,
    ) -> None:
        self._store = store
        self._selection = selection
        self._since = since
        self._until = until
        self._progress = progress
        self._span: Span | None = None
        self._revision = 0
        self._anchor = ""
        self._held: dict[bytes, Record] = {}
        self._is_over = False
        self.beginning: Beginning | None = None

    def read(self) -> Iterator[Change | Break]:
        """Yield what is there of it, in order; called again, what has come since then.

        Raises:
            UsageError: There is no archive in the store.
            ArchiveDamaged: What is needed is missing, or isn't what was written.
        """
        opened = open_archive(self._store)
        ways = spans(opened.epochs)
        if self._span is None:
            span = self._first(ways)
            yield from self._begin(opened, span, self._chosen(span), "thinned")
        else:
            span = ways[self._span.epoch.epoch - 1]
        for following in (*ways[span.epoch.epoch :], None):
            if self._is_over:
                return
            self._span = span
            yield from self._follow(opened, span)
            if self._is_over or following is None:
                return
            span = following
            yield from self._begin(opened, span, next(snapshots(self._store, span.epoch)), "gap")

    def _first(self, ways: list[Span]) -> Span:
        """Return the epoch to begin with."""
        begun = [
            span
            for span in ways
            if self._since is None or not is_before(self._since, span.epoch.base, span.epoch.observed_at)
        ]
        return begun[-1] if begun and self._since is not None else ways[0]

    def _chosen(self, span: Span) -> SnapshotName:
        """Return the snapshot to begin with: the last one before what is wanted, from where all is kept."""
        names = [name for name in snapshots(self._store, span.epoch) if span.counts(name)]
        if not names:
            raise ArchiveDamaged(f"epoch {span.epoch.epoch} has no snapshot", hint=DAMAGE_HINT)
        thinned = thinned_through(self._store, span.epoch.epoch)
        whole = [name for name in names if name.revision >= thinned] or names[-1:]
        since = self._since
        early = [n for n in whole if since is not None and not is_before(since, n.revision, n.observed_at)]
        return early[-1] if early else whole[0]

    def _begin(
        self, opened: Opened, span: Span, name: SnapshotName, kind: Literal["gap", "thinned"]
    ) -> Iterator[Break]:
        """Stand at the snapshot *name* of *span*; yield what differs from where we stood, or had to begin."""
        body = self._store.get(str(name))
        held, anchor = scan_snapshot(body, name, self._selection, opened.archive.archive_id)
        epoch, since = span.epoch, self._since
        is_late = (
            kind == "thinned"
            and name.revision > epoch.base
            and (since is None or is_before(since, name.revision, name.observed_at))
        )
        if self._is_beyond(name.revision, name.observed_at):
            self._is_over = True
            return
        if kind == "gap" or is_late:
            follows = epoch.follows if kind == "gap" else None
            yield Break(
                kind=kind,
                reason=epoch.reason if kind == "gap" else "",
                epoch=epoch.epoch,
                begins_at=follows.observed_through if follows else epoch.observed_at,
                revision=name.revision,
                observed_at=name.observed_at,
                changes=tuple(_differing(self._held, held)) if kind == "gap" else (),
            )
        self._held, self._anchor = held, anchor
        self._revision = name.revision
        if self.beginning is None:
            self.beginning = Beginning(name.revision, name.observed_at, held.copy())

    def _follow(self, opened: Opened, span: Span) -> Iterator[Change]:
        """Yield what follows in *span*'s log."""
        archive_id = opened.archive.archive_id
        read = partial(_scanned, selection=self._selection, archive_id=archive_id)
        for attempt in range(_PLANS):
            planned = list(self._wanted(span))
            self._progress.expect(len(planned))
            fetched = fetch_read(self._store, planned, read, _AT_ONCE)
            try:
                for _, piece in stepping(fetched, self._progress):
                    yield from self._take(piece, span)
                    if self._is_over:
                        return
                break
            except ObjectMissing as missing:
                if attempt == _PLANS - 1:
                    raise ArchiveDamaged(
                        f"{missing} vanished while it was needed", hint="try again"
                    ) from None
            finally:
                fetched.close()
        self._check_end(opened, span)

    def _wanted(self, span: Span) -> Iterator[PieceName]:
        for name in pieces(self._store, span.epoch.epoch, self._revision):
            if span.end is not None and name.after >= span.end.position.revision:
                return
            yield name

    def _take(self, piece: ScannedPiece, span: Span) -> Iterator[Change]:
        if piece.last <= self._revision or (
            isinstance(piece.name, LogName) and piece.name.after < self._revision
        ):
            return  # folded in already, or a stale writer's
        if piece.name.after > self._revision:
            raise ArchiveDamaged(
                f"the log of epoch {span.epoch.epoch} has a hole after revision {self._revision}: the next "
                f"piece is {piece.name}",
                hint=DAMAGE_HINT,
            )
        if piece.name.after == self._revision and piece.previous != self._anchor:
            raise ArchiveDamaged(
                f"{piece.name} follows another segment than the one before it: the hash chain is broken",
                hint=DAMAGE_HINT,
            )
        end = span.end.position.revision if span.end else piece.last
        for batch in piece.batches:
            if not self._revision < batch.revision <= end:
                continue
            if self._is_beyond(batch.revision, batch.observed_at):
                self._is_over = True
                return
            change = self._change(span.epoch.epoch, batch)
            since = self._since
            if since is None or is_before(since, batch.revision, batch.observed_at):
                yield change
        self._revision, self._anchor = piece.last, piece.anchor
        self._is_over = self._is_beyond(piece.last, piece.ended_at)

    def _change(self, epoch: int, batch: Batch) -> Change:
        """Step over *batch*; return what it did."""
        ours = [event for event in batch.events if self._selection.holds(event.key)]
        changes = tuple(KeyChange(event.key, self._held.get(event.key), event.record) for event in ours)
        for event in ours:
            if event.record is None:
                self._held.pop(event.key, None)
            else:
                self._held[event.key] = event.record
        return Change(
            epoch=epoch,
            revision=batch.revision,
            observed_at=batch.observed_at,
            window=batch.window,
            changes=changes,
            others=len(batch.events) - len(ours),
            is_expiry=all(event.record is None for event in batch.events)
            and all(one.before is not None and one.before.lease for one in changes),
        )

    def _is_beyond(self, revision: int, observed_at: datetime) -> bool:
        return self._until is not None and is_before(self._until, revision, observed_at)

    def _check_end(self, opened: Opened, span: Span) -> None:
        """Raise unless the log was read as far as somebody promises that it goes."""
        hint = opened.checkpoint
        promised = span.end.position.revision if span.end else 0
        if span.end is None and hint is not None and hint.position.epoch == span.epoch.epoch:
            promised = hint.position.revision
        if self._revision < promised:
            raise ArchiveDamaged(
                f"the log of epoch {span.epoch.epoch} ends at revision {self._revision}, but revision "
                f"{promised} was recorded: the segments between are missing",
                hint=DAMAGE_HINT,
            )


def _scanned(name: PieceName, body: bytes, selection: Selection, archive_id: str) -> ScannedPiece:
    return scan_piece(body, name, selection, archive_id)


def _differing(before: dict[bytes, Record], after: dict[bytes, Record]) -> Iterator[KeyChange]:
    """Yield each key that isn't on both sides what it was, in byte order."""
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield KeyChange(key, before.get(key), after.get(key))
