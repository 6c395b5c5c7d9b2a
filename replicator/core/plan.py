"""From a target to the objects that answer it, or the reason why none can: arithmetic over names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from replicator.core.quantities import format_time
from replicator.errors import TargetNotRestorable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from replicator.core.documents import Epoch, Follows
    from replicator.core.names import PieceName, SnapshotName
    from replicator.core.records import Window


@dataclass(frozen=True, slots=True)
class AtTime:
    """The last revision stamped at or before *moment* (aware, UTC); before it, if *exclusive*."""

    moment: datetime
    exclusive: bool = False

    def __str__(self) -> str:
        return f"{'before' if self.exclusive else 'at'} {format_time(self.moment)}"


@dataclass(frozen=True, slots=True)
class AtRevision:
    """The state at etcd's revision *revision*, in any epoch unless one is named."""

    revision: int
    epoch: int | None = None

    def __str__(self) -> str:
        return f"at revision {self.revision}" + (f" of epoch {self.epoch}" if self.epoch else "")


@dataclass(frozen=True, slots=True)
class Latest:
    """The log's end."""

    def __str__(self) -> str:
        return "latest"


Target = AtTime | AtRevision | Latest


@dataclass(frozen=True, slots=True)
class Span:
    """An epoch, and the one that was opened after it, if any."""

    epoch: Epoch
    following: Epoch | None = None

    @property
    def end(self) -> Follows | None:
        """Where this epoch's log ends for good; None while it is the newest."""
        return self.following.follows if self.following else None

    def last(self) -> Target:
        """Return the last state before the gap behind this epoch; the log's end, if it is the newest."""
        return AtRevision(self.end.position.revision) if self.end else Latest()

    def counts(self, snapshot: SnapshotName) -> bool:
        """Tell whether *snapshot* is one of this epoch's history, and not what a stale writer cut later."""
        return self.end is None or snapshot.revision <= self.end.position.revision

    def excludes(self, target: Target) -> bool:
        """Tell whether *target* lies after this epoch's end."""
        return self.end is not None and is_after(target, self.end.through_revision, self.end.observed_through)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read: one snapshot, then the segments of its epoch from there to the target.

    Attributes:
        span: The epoch that the target lies in.
        snapshot: The snapshot to begin with.
        until: Revision beyond which the log need not be read (a later snapshot lies there, or the next
            epoch follows from there); None for the log's end.
        following: The snapshot there; None if the plan ends where the epoch does.
    """

    span: Span
    snapshot: SnapshotName
    until: int | None
    following: SnapshotName | None = None


class Thinned(TargetNotRestorable):
    """Retention took what the target needs."""


def thinned(target: Target, before: tuple[int, datetime] | None, following: SnapshotName | None) -> Thinned:
    """Return the refusal of *target*: it lies where retention has thinned the log.

    Args:
        target: What was asked for.
        before: The last revision before it that is kept, and until when that is known; None if there is none
            in the target's epoch.
        following: The next kept snapshot of the epoch, if any.
    """
    kept = []
    if before is not None:
        kept.append(f"revision {before[0]}, known until {format_time(before[1])}")
    if following is not None:
        kept.append(f"revision {following.revision} at {format_time(following.observed_at)}")
    hint = f"the nearest kept moments are {', and '.join(kept)}" if kept else "nothing of its epoch is kept"
    return Thinned(
        f"{target} was thinned by retention: the log is no longer kept there",
        hint=f"{hint}; `replicator list` shows all",
    )


def spans(epochs: Sequence[Epoch]) -> list[Span]:
    """Return each of *epochs*, which are in order, with the one after it."""
    return [Span(*pair) for pair in zip(epochs, [*epochs[1:], None], strict=True)]


def choose_spans(target: Target, epochs: Sequence[Epoch], *, allow_gap: bool = False) -> list[Span]:
    """Return the epochs that *target* may lie in; *epochs* in order, at least one.

    There is one, but for a revision that several epochs may know, since etcd was set back: then the
    newest comes first, and the others count if that doesn't reach so far. Where *allow_gap*, a target in a
    gap gives the epoch before that, which excludes it.

    Raises:
        TargetNotRestorable: The target lies before history, or in the gap between two epochs.
    """
    wanted = target.epoch if isinstance(target, AtRevision) else None
    begun = [
        span
        for span in spans(epochs)
        if wanted in (None, span.epoch.epoch)
        and not is_before(target, span.epoch.base, span.epoch.observed_at)
    ]
    if not begun:
        raise TargetNotRestorable(
            f"{target} lies before the archive's history",
            hint=f"the first moment is revision {epochs[0].base} at {format_time(epochs[0].observed_at)}",
        )
    if not isinstance(target, AtRevision):
        begun = begun[-1:]
    inside = [span for span in begun if not span.excludes(target)]
    if not inside and allow_gap:
        return begun[-1:]
    if not inside:
        raise _in_gap(target, begun[-1])
    return inside[::-1]


def choose_snapshot(target: Target, span: Span, snapshots: Iterable[SnapshotName]) -> Plan:
    """Return the plan for *target* within *span*; *snapshots* are its epoch's, in order.

    Raises:
        Thinned: None of them lies before the target: retention took them, as it took the base.
    """
    chosen, following = None, None
    for name in filter(span.counts, snapshots):
        if is_before(target, name.revision, name.observed_at):
            following = name
            break
        chosen = name
    if chosen is None:
        raise thinned(target, None, following)
    until = following.revision if following else span.end.position.revision if span.end else None
    return Plan(span, chosen, until, following)


def tail(plan: Plan, log: Iterable[PieceName]) -> Iterator[PieceName]:
    """Yield from *log*, the pieces after the snapshot in order, those that the plan needs."""
    for name in log:
        if plan.until is not None and name.after >= plan.until:
            return
        yield name


def is_before(target: Target, revision: int, observed_at: datetime) -> bool:
    """Tell whether *target* lies before what happened at *revision*, stamped *observed_at*."""
    match target:
        case AtTime(moment, exclusive):
            return moment <= observed_at if exclusive else moment < observed_at
        case AtRevision(revision=wanted):
            return wanted < revision
        case Latest():
            return False


def is_after(target: Target, through_revision: int, observed_through: datetime) -> bool:
    """Tell whether *target* lies beyond what is known through a revision and a moment."""
    match target:
        case AtTime(moment):
            return moment > observed_through
        case AtRevision(revision=revision):
            return revision > through_revision
        case Latest():
            return False


def late_by(target: Target, last: Window | None, following: Window | None) -> timedelta:
    """Return by how much the answer to *target* may be off: zero where every stamp was seen live.

    Args:
        target: What was asked for.
        last: The window of the revision that the answer ends with, if that arrived late.
        following: The same of the first revision beyond the answer.
    """
    if isinstance(target, AtTime):
        moment = target.moment
        windows = [window for window in (last, following) if window and _within(moment, window)]
    else:
        windows = [last] if last else []
    return max((window.not_after - window.not_before for window in windows), default=timedelta(0))


def _within(moment: datetime, window: Window) -> bool:
    return window.not_before < moment <= window.not_after


def _in_gap(target: Target, span: Span) -> TargetNotRestorable:
    before, after = span.end, span.following
    hint = ""
    if before is not None and after is not None:
        hint = (
            f"the nearest moments are revision {before.position.revision}, known until "
            f"{format_time(before.observed_through)}, and revision {after.base} at "
            f"{format_time(after.observed_at)}, where epoch {after.epoch} begins ({after.reason}); "
            "--allow-gap takes the one before"
        )
    return TargetNotRestorable(
        f"{target} lies in the gap after epoch {span.epoch.epoch}: nobody recorded what happened there",
        hint=hint,
    )
