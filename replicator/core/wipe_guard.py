"""Is this change a wipe? If so it is held back from the gateway until it has lasted, or is confirmed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 (msgspec reads the annotations)
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

# One resource fewer is nobody's disaster, however few there are.
_FEW = 1

# Of so many resources of one type the loss of a share counts by itself: of all routes, though services stay.
_A_TYPE = 10


@dataclass(frozen=True, slots=True)
class WipeRule:
    """What share of the resources may go in one change, from 0 to 1, and after how long more is believed."""

    share: float
    lasting: timedelta


class Held(msgspec.Struct, frozen=True):
    """A change that is held back: since when, how many resources were and would be there, and why."""

    since: datetime
    before: int
    after: int
    why: str


class Peak(msgspec.Struct, frozen=True):
    """What a loss is measured by: the most resources of each type that the gateway has had of late.

    A wipe that goes key by key loses little with each change, and all in a minute. So a change is compared
    with what there was before the losses that aren't old enough to be believed.

    Attributes:
        counts: How many of each type.
        since: Since when the gateway has had fewer; None if it has all of them.
    """

    counts: dict[str, int] = {}
    since: datetime | None = None


def peak_after(rule: WipeRule, peak: Peak, counts: Mapping[str, int], now: datetime) -> Peak:
    """Return the peak of a gateway whose peak was *peak*, and that has *counts* at *now*."""
    kinds = peak.counts.keys() | counts.keys()
    most = {kind: max(peak.counts.get(kind, 0), counts.get(kind, 0)) for kind in kinds}
    if most == {kind: counts.get(kind, 0) for kind in kinds}:
        return Peak(dict(counts))
    since = peak.since if peak.since is not None and peak.since <= now else now
    return Peak(dict(counts)) if now - since >= rule.lasting else Peak(most, since)


def judge(
    rule: WipeRule, before: Mapping[str, int], after: Mapping[str, int], held: Held | None, now: datetime
) -> Held | None:
    """Return the change as it is held back; None if it may pass.

    Args:
        rule: What is a wipe.
        before: How many resources of each type the gateway has: the peak's counts.
        after: How many it would have.
        held: What this answered last time; None if the gateway was up to date.
        now: The present.
    """
    why = _loss(rule, before, after)
    if not why:
        return None
    since = held.since if held is not None and held.since <= now else now
    if now - since >= rule.lasting:
        return None
    return Held(since, sum(before.values()), sum(after.values()), why)


def _loss(rule: WipeRule, before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Return what is lost beyond the rule, in words; nothing if nothing is."""
    gone = {kind: count - after.get(kind, 0) for kind, count in before.items() if count > after.get(kind, 0)}
    lost, total = sum(gone.values()), sum(before.values())
    if lost <= _FEW:
        return ""
    if lost > rule.share * total:
        return f"{lost} of {total} resources would go"
    for kind, count in gone.items():
        if before[kind] >= _A_TYPE and count > rule.share * before[kind]:
            return f"{count} of {before[kind]} {kind} would go"
    return ""
