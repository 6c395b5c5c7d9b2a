"""``replicator list``: what can be restored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from replicator import wiring
from replicator.cli.gaps import GapLine, gap_line, gap_words
from replicator.cli.options import TIME, archive_option, json_option, print_json
from replicator.cli.point_command import PointLine
from replicator.cli.stdout import answering
from replicator.cli.words import say
from replicator.core.quantities import format_time
from replicator.flows.gaps import find_gaps
from replicator.flows.points import list_points
from replicator.flows.survey import survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl
    from replicator.core.names import SnapshotName
    from replicator.flows.gaps import KnownGap
    from replicator.flows.survey import Coverage


class Moment(msgspec.Struct, frozen=True):
    """A revision and a time, RFC 3339."""

    revision: int
    time: str


class EpochLine(msgspec.Struct, frozen=True, kw_only=True):
    """What one epoch can restore: every moment between *first* and *last*, and those in *kept*.

    Attributes:
        epoch: Its number.
        reason: Why it was opened.
        cluster_id: The etcd that it records.
        first: Its base; or, where retention has thinned it, where it begins to hold every moment: None if
            that is nowhere.
        last: How far it is known.
        end_revision: Its last recorded change.
        snapshots: Those within ``--since`` and ``--until``.
        kept: Of these, the ones that retention has left of what it thinned: each stands for itself.
    """

    epoch: int
    reason: str
    cluster_id: str
    first: Moment | None
    last: Moment
    end_revision: int
    snapshots: tuple[Moment, ...]
    kept: tuple[Moment, ...] = ()


class Listing(msgspec.Struct, frozen=True):
    """What ``list --json`` says; gaps lie between an epoch's *last* and the next one's base.

    Attributes:
        archive_id: As in archive.json.
        prefix: What is recorded.
        epochs: In order.
        gaps: Those before the epochs that are listed.
        points: Named points, by name.
    """

    archive_id: str
    prefix: str
    epochs: tuple[EpochLine, ...]
    gaps: tuple[GapLine, ...]
    points: tuple[PointLine, ...] = ()


@click.command("list")
@click.option("--since", type=TIME, metavar="TIME", help="Leave out what lies before.")
@click.option("--until", type=TIME, metavar="TIME", help="Leave out what lies after.")
@archive_option
@json_option
@click.pass_obj
def command(
    shared: Shared,
    *,
    since: datetime | None,
    until: datetime | None,
    archive: ArchiveUrl | None,
    as_json: bool,
) -> None:
    """Show what can be restored: every moment of every epoch; what lies between two epochs is a gap."""
    settings = shared.settings(archive)
    store = wiring.store(settings)
    found = survey(store)
    shown = [one for one in found.coverage if _overlaps(one, since, until)]
    gaps = find_gaps(store, [one.epoch for one in shown])
    listing = Listing(
        found.archive.archive_id,
        found.archive.prefix,
        tuple(_epoch_line(one, since, until) for one in shown),
        tuple(map(gap_line, gaps)),
        tuple(PointLine.of(point) for point in list_points(store) if _is_within(point.moment, since, until)),
    )
    if as_json:
        print_json(listing)
        return
    with answering():
        for line in _words(listing, gaps):
            say(line)


def _is_within(moment: datetime, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or moment >= since) and (until is None or moment <= until)


def _overlaps(one: Coverage, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or one.reach.observed_through >= since) and (
        until is None or one.epoch.observed_at <= until
    )


def _epoch_line(one: Coverage, since: datetime | None, until: datetime | None) -> EpochLine:
    snapshots, kept = (
        tuple(_moment(name) for name in names if _is_within(name.observed_at, since, until))
        for names in (one.snapshots, one.kept)
    )
    return EpochLine(
        epoch=one.epoch.epoch,
        reason=one.epoch.reason,
        cluster_id=one.epoch.cluster_id,
        first=_moment(one.first) if one.first else None,
        last=Moment(one.reach.through_revision, format_time(one.reach.observed_through)),
        end_revision=one.end,
        snapshots=snapshots,
        kept=kept,
    )


def _moment(name: SnapshotName) -> Moment:
    return Moment(name.revision, format_time(name.observed_at))


def _words(listing: Listing, gaps: tuple[KnownGap, ...]) -> Iterator[str]:
    yield f"archive {listing.archive_id} of {listing.prefix}"
    before = {gap.epoch.epoch: gap for gap in gaps}
    for line in listing.epochs:
        if line.epoch in before:
            yield from gap_words(before[line.epoch])
        yield f"epoch {line.epoch} ({line.reason}) of cluster {line.cluster_id}"
        yield from _kept_words(line.kept)
        if line.first is not None:
            yield f"  from       revision {line.first.revision:<12} {line.first.time}"
            yield f"  to         revision {line.last.revision:<12} {line.last.time}"
        yield f"  changes    the last at revision {line.end_revision}"
        yield from _snapshot_words(line.snapshots)
    if listing.points:
        yield "named points"
        yield from (f"  {point.words()}" for point in listing.points)


def _kept_words(kept: tuple[Moment, ...]) -> Iterator[str]:
    if kept:
        yield f"  thinned    {len(kept)} moments are left of what retention thinned"
    yield from (f"    kept     revision {moment.revision:<12} {moment.time}" for moment in kept)


def _snapshot_words(snapshots: tuple[Moment, ...]) -> Iterator[str]:
    if snapshots:
        last = snapshots[-1]
        yield f"  snapshots  {len(snapshots)}, the last at revision {last.revision}, {last.time}"
