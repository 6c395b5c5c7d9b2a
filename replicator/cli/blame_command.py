"""``replicator blame``: each field of a resource, since when and by which revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from replicator import wiring
from replicator.apisix.blame import Blame
from replicator.apisix.fields import Opaque, document_of, dotted, pointer
from replicator.apisix.resource import parse_one
from replicator.apisix.secrecy import HIDDEN, hides
from replicator.cli.history_command import gateway_archive
from replicator.cli.moments import MOMENT_HELP, parse_moment
from replicator.cli.options import archive_option, json_option, print_json
from replicator.cli.progress import progress
from replicator.cli.stdout import answering
from replicator.cli.words import say
from replicator.core.quantities import format_time
from replicator.core.scan import Selection
from replicator.errors import UsageError
from replicator.flows.changes import Break, History

if TYPE_CHECKING:
    from replicator.apisix.blame import Field
    from replicator.apisix.resource import Resource
    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl


_LONGEST = 100


class Origin(NamedTuple):
    """What set a field: *is_before*: the archive begins, or goes on behind a gap, with it."""

    revision: int
    time: str
    is_before: bool


class FieldLine(msgspec.Struct, frozen=True, kw_only=True):
    """What ``blame --json`` says of a field.

    Attributes:
        path: A JSON pointer (RFC 6901).
        value: Its value, ``***`` for a secret unless ``--reveal``.
        revision: The revision that set it.
        time: That revision's stamp, RFC 3339.
        is_before: Nobody saw it being set: it was so already at this revision.
    """

    path: str
    value: Any
    revision: int
    time: str
    is_before: bool


@click.command("blame")
@click.argument("resource", metavar="TYPE/ID")
@click.option("--at", "moment", default="latest", show_default=True, metavar="MOMENT", help=MOMENT_HELP + ".")
@click.option("--reveal", is_flag=True, help="Show secrets too; else *** stands for each.")
@archive_option
@json_option
@click.pass_obj
def command(
    shared: Shared, *, resource: str, moment: str, reveal: bool, archive: ArchiveUrl | None, as_json: bool
) -> None:
    """Show for each field of a resource since when it has its value, and which revision set it.

    ``<=`` stands before a moment at which the value was there already: nobody saw it being set.

    \b
      replicator blame routes/1
      replicator blame routes/1 --at -1d
    """  # noqa: D301 (click wants the character itself)
    wanted = parse_one(resource)
    store = wiring.store(shared.settings(archive))
    prefix = gateway_archive(store).prefix.encode()
    selection, until = Selection(wanted.key(prefix), is_whole=True), parse_moment(moment, store)
    with progress("reading", "objects") as bar:
        fields = blamed(History(store, selection, until=until, progress=bar))
    if not fields:
        raise UsageError(
            f"{wanted} wasn't there at {moment}", hint=f"replicator history {wanted}  (shows when it was)"
        )
    if as_json:
        print_json([_line(wanted, field, reveal=reveal) for field in fields])
        return
    widest = max(len(str(field.origin.revision)) for field in fields)
    with answering():
        for field in fields:
            origin, value = field.origin, _value(wanted, field, reveal=reveal)
            text = value if isinstance(value, str) and value == HIDDEN else _text(value)
            mark = "<=" if origin.is_before else "  "
            say(f"{mark} {origin.time}  {origin.revision:>{widest}}  {dotted(field.path)}: {text}")


def blamed(history: History) -> list[Field[Origin]]:
    """Return the fields of the one resource of *history* as it ends; none if it is gone."""
    blame: Blame[Origin] = Blame()
    items, beginning = list(history.read()), history.beginning
    if beginning is not None:
        time = format_time(beginning.observed_at)
        for record in beginning.held.values():
            blame.take(document_of(record.value), Origin(record.mod_revision, time, is_before=True))
    for item in items:
        for one in item.changes:
            if one.after is None:
                blame.clear()
            else:
                origin = Origin(item.revision, format_time(item.observed_at), isinstance(item, Break))
                blame.take(document_of(one.after.value), origin)
    return blame.fields()


def _line(wanted: Resource, field: Field[Origin], *, reveal: bool) -> FieldLine:
    value = _value(wanted, field, reveal=reveal)
    return FieldLine(
        path=pointer(field.path),
        value=str(value) if isinstance(value, Opaque) else value,
        revision=field.origin.revision,
        time=field.origin.time,
        is_before=field.origin.is_before,
    )


def _value(wanted: Resource, field: Field[Origin], *, reveal: bool) -> Any:
    return HIDDEN if not reveal and hides(wanted.type, field.path) else field.value


def _text(value: Any) -> str:
    text = str(value) if isinstance(value, Opaque) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
