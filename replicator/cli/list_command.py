"""``replicator list``: what can be restored."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import click
import msgspec

from replicator import wiring
from replicator.cli.options import TIME, archive_option, json_option, print_json
from replicator.cli.stdout import answering
from replicator.cli.words import say
from replicator.core.quantities import format_time, human_duration
from replicator.flows.survey import survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl
    from replicator.flows.survey import Coverage, Survey


class Moment(msgspec.Struct, frozen=True):
    """A revision and a time, RFC 3339."""

    revision: int
    time: str


class EpochLine(msgspec.Struct, frozen=True, kw_only=True):
    """What one epoch can restore: every moment between *first* and *last*.

    Attributes:
        epoch: Its number.
        reason: Why it was opened.
        cluster_id: The etcd that it records.
        first: Its base.
        last: How far it is known.
        end_revision: Its last recorded change.
        snapshots: Those within ``--since`` and ``--until``.
    """

    epoch: int
    reason: str
    cluster_id: str
    first: Moment
    last: Moment
    end_revision: int
    snapshots: tuple[Moment, ...]


class Listing(msgspec.Struct, frozen=True):
    """What ``list --json`` says; gaps lie between an epoch's *last* and the next one's *first*."""

    archive_id: str
    prefix: str
    epochs: tuple[EpochLine, ...]


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
    found = survey(wiring.store(settings))
    listing = _listing(found, since, until)
    if as_json:
        print_json(listing)
        return
    with answering():
        for line in _words(listing, found.coverage):
            say(line)


def _listing(found: Survey, since: datetime | None, until: datetime | None) -> Listing:
    epochs = tuple(_epoch_line(one, since, until) for one in found.coverage if _overlaps(one, since, until))
    return Listing(found.archive.archive_id, found.archive.prefix, epochs)


def _overlaps(one: Coverage, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or one.reach.observed_through >= since) and (
        until is None or one.epoch.observed_at <= until
    )


def _epoch_line(one: Coverage, since: datetime | None, until: datetime | None) -> EpochLine:
    snapshots = tuple(
        Moment(name.revision, format_time(name.observed_at))
        for name in one.snapshots
        if (since is None or name.observed_at >= since) and (until is None or name.observed_at <= until)
    )
    return EpochLine(
        epoch=one.epoch.epoch,
        reason=one.epoch.reason,
        cluster_id=one.epoch.cluster_id,
        first=Moment(one.epoch.base, format_time(one.epoch.observed_at)),
        last=Moment(one.reach.through_revision, format_time(one.reach.observed_through)),
        end_revision=one.end,
        snapshots=snapshots,
    )


def _words(listing: Listing, coverage: tuple[Coverage, ...]) -> Iterator[str]:
    yield f"archive {listing.archive_id} of {listing.prefix}"
    gaps = {after.epoch.epoch: _gap_s(before, after) for before, after in pairwise(coverage)}
    for line in listing.epochs:
        if line.epoch in gaps:
            yield f"gap of {human_duration(gaps[line.epoch])}: nobody recorded what happened"
        yield f"epoch {line.epoch} ({line.reason}) of cluster {line.cluster_id}"
        yield f"  from       revision {line.first.revision:<12} {line.first.time}"
        yield f"  to         revision {line.last.revision:<12} {line.last.time}"
        yield f"  changes    the last at revision {line.end_revision}"
        yield from _snapshot_words(line.snapshots)


def _gap_s(before: Coverage, after: Coverage) -> float:
    return (after.epoch.observed_at - before.reach.observed_through).total_seconds()


def _snapshot_words(snapshots: tuple[Moment, ...]) -> Iterator[str]:
    if snapshots:
        last = snapshots[-1]
        yield f"  snapshots  {len(snapshots)}, the last at revision {last.revision}, {last.time}"
