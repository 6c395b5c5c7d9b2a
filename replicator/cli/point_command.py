"""``replicator point``: moments with a name, which retention keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from replicator import wiring
from replicator.cli.options import REVISION, TIME, archive_option, json_option, print_json
from replicator.cli.stdout import answering
from replicator.cli.words import say
from replicator.core.plan import AtRevision, AtTime, Latest
from replicator.core.quantities import format_time
from replicator.errors import UsageError
from replicator.flows.points import add_point, list_points, remove_point

if TYPE_CHECKING:
    from datetime import datetime

    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl
    from replicator.core.documents import Point
    from replicator.core.plan import Target
    from replicator.ports import ObjectStore


class PointLine(msgspec.Struct, frozen=True, kw_only=True):
    """A named point: the state at *revision* of *epoch*, whose last change is of *time*. RFC 3339."""

    name: str
    epoch: int
    revision: int
    time: str
    note: str
    made_at: str

    @classmethod
    def of(cls, point: Point) -> PointLine:
        """Return the line of *point*."""
        return cls(
            name=point.name,
            epoch=point.position.epoch,
            revision=point.position.revision,
            time=format_time(point.moment),
            note=point.note,
            made_at=format_time(point.made_at),
        )

    def words(self) -> str:
        """Return it for people."""
        note = f"  {self.note}" if self.note else ""
        return f"{self.name:16} revision {self.revision:<12} {self.time}{note}"


@click.group("point", no_args_is_help=False)
def command() -> None:
    """Give moments a name. Retention keeps what a named point needs; `restore --point NAME` restores it."""


@command.command("add")
@click.argument("name")
@click.option(
    "--at", "moment", type=TIME, metavar="TIME", help="The last revision up to TIME, as for `restore`."
)
@click.option("--revision", type=REVISION, metavar="N", help="The state at etcd's revision N.")
@click.option("--latest", is_flag=True, help="The last revision that was recorded.")
@click.option("--note", default="", metavar="TEXT", help="What it is for.")
@archive_option
@json_option
@click.pass_obj
def add(  # noqa: PLR0913 (one for each option)
    shared: Shared,
    *,
    name: str,
    moment: datetime | None,
    revision: int | None,
    latest: bool,
    note: str,
    archive: ArchiveUrl | None,
    as_json: bool,
) -> None:
    """Name a moment, once it was restored for a trial."""
    target = _target(moment, revision, latest=latest)
    point = PointLine.of(add_point(_store(shared, archive), name, target, note, wiring.SystemClock()))
    _tell([point], point, as_json=as_json)


@command.command("list")
@archive_option
@json_option
@click.pass_obj
def list_(shared: Shared, *, archive: ArchiveUrl | None, as_json: bool) -> None:
    """Show all named points."""
    points = [PointLine.of(point) for point in list_points(_store(shared, archive))]
    _tell(points, points, as_json=as_json)


@command.command("rm")
@click.argument("name")
@archive_option
@click.pass_obj
def rm(shared: Shared, *, name: str, archive: ArchiveUrl | None) -> None:
    """Forget a point: retention may then take what it needs."""
    remove_point(_store(shared, archive), name)


def _target(moment: datetime | None, revision: int | None, *, latest: bool) -> Target:
    if [moment is not None, revision is not None, latest].count(True) != 1:
        raise UsageError(
            "which moment? Say one of --at, --revision and --latest",
            hint="replicator list  (shows what can be restored)",
        )
    if moment is not None:
        return AtTime(moment)
    return Latest() if revision is None else AtRevision(revision)


def _store(shared: Shared, archive: ArchiveUrl | None) -> ObjectStore:
    settings = shared.settings(archive)
    return wiring.store(settings)


def _tell(points: list[PointLine], document: PointLine | list[PointLine], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    with answering():
        for point in points:
            say(point.words())
