"""``replicator status``: would a restore of a minute ago work now?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click
import msgspec

from replicator import wiring
from replicator.cli.options import DURATION, archive_option, json_option, print_json
from replicator.cli.stdout import answering
from replicator.cli.words import say
from replicator.core.quantities import format_time, human_duration
from replicator.errors import SourceUnavailable, TargetNotRestorable
from replicator.flows.gaps import find_gaps
from replicator.flows.instance import holds_files
from replicator.flows.survey import survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl
    from replicator.flows.gaps import KnownGap
    from replicator.flows.survey import Survey
    from replicator.ports import SourceStatus


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What ``status --json`` says.

    Attributes:
        archive_id: As in archive.json.
        prefix: What is recorded.
        epoch: The newest epoch.
        epochs: How many there are; there is a gap before each but the first.
        unacknowledged_gaps: How many of these gaps nobody has acknowledged.
        revision: The last recorded change.
        through_revision: etcd's revision up to which the archive is known.
        observed_through: The watermark: any moment until then can be restored. RFC 3339.
        watermark_age: Its age in seconds.
        snapshot_revision: Where a restore of the latest state begins to replay.
        etcd_head: etcd's revision now; None if it wasn't asked or didn't answer.
        lag_revisions: How many revisions etcd is ahead, other prefixes' included; None like *etcd_head*.
        restorable_since: From here on every moment can be restored, but for gaps. RFC 3339.
        lease: ``held`` by a writer; ``free``: the last one ended in order; ``none``: there never was one.
        writer: Who holds the lease; empty if nobody does.
        term: How often the lease has changed hands; 0 without one.
        standby: Whether another writer waits for the lease.
    """

    archive_id: str
    prefix: str
    epoch: int
    epochs: int
    unacknowledged_gaps: int
    revision: int
    through_revision: int
    observed_through: str
    watermark_age: float
    snapshot_revision: int
    etcd_head: int | None = None
    lag_revisions: int | None = None
    restorable_since: str
    lease: Literal["held", "free", "none"] = "none"
    writer: str = ""
    term: int = 0
    standby: bool = False


@click.command("status")
@click.option(
    "--max-age", type=DURATION, metavar="DURATION", help="Exit with 3 if the watermark is older: 5m, say."
)
@archive_option
@json_option
@click.pass_obj
def command(shared: Shared, *, max_age: timedelta | None, archive: ArchiveUrl | None, as_json: bool) -> None:
    """Show how far the archive reaches: position, watermark, and its lag behind etcd.

    etcd is asked if a file is given by -c; the archive alone is enough for the rest.
    """
    settings = shared.settings(archive)
    store = wiring.store(settings)
    found = survey(store)
    gaps = find_gaps(store, [one.epoch for one in found.coverage])
    etcd, trouble = None, None
    if shared.files and not holds_files(found.archive):
        try:
            etcd = wiring.source(settings.etcd).status()
        except SourceUnavailable as error:
            trouble = error
    status = _status(found, gaps, etcd, wiring.SystemClock().now())
    if as_json:
        print_json(status)
    else:
        with answering():
            for line in _words(status):
                say(line)
    if trouble is not None:
        raise trouble
    if max_age is not None and status.watermark_age > max_age.total_seconds():
        raise TargetNotRestorable(
            f"the watermark is {human_duration(status.watermark_age)} old, "
            f"more than {human_duration(max_age.total_seconds())}",
            hint="see whether `replicator run` runs, and what it logs",
        )


def _status(found: Survey, gaps: tuple[KnownGap, ...], etcd: SourceStatus | None, now: datetime) -> Status:
    newest = found.coverage[-1]
    through = newest.reach.through_revision
    lease = found.checkpoint.lease if found.checkpoint else None
    # A newest snapshot is always kept, so there is one.
    first = next(one.first for one in found.coverage if one.first is not None)
    return Status(
        archive_id=found.archive.archive_id,
        prefix=found.archive.prefix,
        epoch=newest.epoch.epoch,
        epochs=len(found.coverage),
        unacknowledged_gaps=sum(gap.acknowledged is None for gap in gaps),
        revision=newest.end,
        through_revision=through,
        observed_through=format_time(newest.reach.observed_through),
        watermark_age=(now - newest.reach.observed_through).total_seconds(),
        snapshot_revision=newest.snapshots[-1].revision,
        etcd_head=etcd.head if etcd else None,
        lag_revisions=max(0, etcd.head - through) if etcd else None,
        restorable_since=format_time(first.observed_at),
        lease="none" if lease is None else "held" if lease.holder else "free",
        writer=lease.holder if lease else "",
        term=lease.term if lease else 0,
        standby=bool(lease and lease.standby),
    )


def _words(status: Status) -> Iterator[str]:
    yield f"archive    {status.archive_id} of {status.prefix}, epoch {status.epoch}"
    yield f"position   revision {status.revision} is the last change, known through {status.through_revision}"
    yield f"watermark  {status.observed_through}, {human_duration(max(0.0, status.watermark_age))} ago"
    yield f"snapshot   at revision {status.snapshot_revision}"
    yield f"restores   of any moment since {status.restorable_since}{', but for gaps' * (status.epochs > 1)}"
    if status.lease == "held":
        waits = "another one stands by" if status.standby else "nobody stands by"
        yield f"writer     {status.writer}, term {status.term}; {waits}"
    elif status.lease == "free":
        yield f"writer     none: the last one ended in order, after term {status.term}"
    if status.etcd_head is not None:
        yield f"etcd       at revision {status.etcd_head}, {status.lag_revisions} ahead"
    if status.epochs > 1:
        open_ones = (
            f"{status.unacknowledged_gaps} not acknowledged" if status.unacknowledged_gaps else "all seen"
        )
        yield f"gaps       {status.epochs - 1}, {open_ones}: replicator gap list shows them"
