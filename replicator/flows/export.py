"""The history as rows, a file for each day: written once a day is known whole, and never again."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from replicator.apisix.fields import Opaque, document_of, patch, words
from replicator.apisix.report import shown
from replicator.apisix.resource import is_heartbeat, name_of, type_of
from replicator.apisix.secrecy import masked
from replicator.core.plan import AtTime
from replicator.errors import ObjectExists, ObjectMissing, UsageError
from replicator.flows.changes import EVERYTHING, Break, Change, History
from replicator.flows.progress import UNWATCHED
from replicator.flows.survey import survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from replicator.core.records import Record
    from replicator.flows.changes import KeyChange
    from replicator.flows.progress import Progress
    from replicator.ports import ObjectStore

ABOUT: Final = "_replicator-export.json"  # readers of folders pass over what begins with _
"""The document that says of which archive an export is, and whether it has secrets."""

_DAY = re.compile(r"day=(\d{4}-\d\d-\d\d)/history\.parquet")


class Column(NamedTuple):
    """A column: its name, its type in Parquet, and what is in it."""

    name: str
    type: Literal["timestamp", "string", "int64", "bool"]
    about: str


COLUMNS: Final = (
    Column("time", "timestamp", "the stamp of the change: microseconds, UTC"),
    Column("not_before", "timestamp", "if it was seen late: it was committed after this moment; else null"),
    Column("epoch", "int64", "the epoch's number"),
    Column("revision", "int64", "etcd's revision; rows of one transaction share it"),
    Column(
        "kind", "string", "`change`; `gap`: nobody saw the single changes; `thinned`: retention took them"
    ),
    Column("op", "string", "`create`, `update`, `delete`, or `expire`: the end of its lease took the key"),
    Column("type", "string", "the resource's type, such as `routes`; null for what is no resource"),
    Column("resource", "string", "as people call it: `routes/1`"),
    Column("key", "string", "etcd's key; `base64:` and its base64 if it is no UTF-8"),
    Column("version", "int64", "etcd's version of the key behind it; 0 if it is gone"),
    Column("create_revision", "int64", "etcd's create_revision behind it; 0 if it is gone"),
    Column("lease", "int64", "the lease that it hangs on; 0 for none"),
    Column("transaction_keys", "int64", "how many keys the transaction changed"),
    Column("summary", "string", "what changed, in words: one line for each field"),
    Column("patch", "string", "of an update: RFC 6902, as JSON text"),
    Column("value", "string", "the value behind it, as JSON text; null if it is gone or no JSON"),
)
"""What an export has of each key that a revision changed."""

Row = dict[str, Any]


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `ABOUT` says."""

    archive_id: str
    reveals: bool
    format: int = 1


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the days, and how many rows they have; until when the archive was known."""

    days: tuple[date, ...]
    rows: int
    known_until: datetime


def export(
    store: ObjectStore,
    place: ObjectStore,
    pack: Callable[[Iterable[Row]], bytes],
    *,
    reveal: bool,
    progress: Progress = UNWATCHED,
) -> Exported:
    """Write each whole day of the archive in *store* that *place* doesn't have yet.

    Args:
        store: Where the archive is.
        place: Where the files go, below ``day=YYYY-MM-DD/``.
        pack: Makes a Parquet file of a day's rows.
        reveal: Whether secrets are written; else ``***`` stands for each.
        progress: Hears of each object of the log that is read.

    Raises:
        UsageError: There is no archive, or *place* has an export of another one, or another kind.
        ArchiveDamaged: What is needed is missing, or isn't what was written. Whole days before it stay.
    """
    found = survey(store)
    _claim(place, About(found.archive.archive_id, reveal))
    done = sorted(filter(None, map(_day_of, place.names("day="))))
    known = found.coverage[-1].reach.observed_through
    first = done[-1] + timedelta(days=1) if done else None
    today = known.astimezone(UTC).date()
    since = AtTime(_begin(first), exclusive=True) if first else None
    until = AtTime(_begin(today) - timedelta(microseconds=1))
    teller = Rows(found.archive.prefix, reveal=reveal)
    days, rows = [], 0
    history = History(store, EVERYTHING, since, until, progress)
    items = (item for item in history.read() if _is_told(item, since))
    for day, of_day in groupby(items, key=lambda item: item.observed_at.astimezone(UTC).date()):
        counted = _Counted(row for item in of_day for row in teller.rows(item))
        body = pack(counted)
        if counted.count and _is_written(place, day, body):
            days.append(day)
            rows += counted.count
    return Exported(tuple(days), rows, known)


class Rows:
    """Makes rows of changes of an archive of *prefix*; secrets only if *reveal*; heartbeats never."""

    def __init__(self, prefix: str, *, reveal: bool) -> None:
        self._prefix = prefix.encode()
        self._reveal = reveal

    def rows(self, item: Change | Break) -> Iterator[Row]:
        """Yield a row for each key."""
        if isinstance(item, Change):
            kind, window, others, is_expiry = "change", item.window, item.others, item.is_expiry
        else:
            kind, window, others, is_expiry = item.kind, None, 0, False
        for one in item.changes:
            if is_heartbeat(one.key, self._prefix):
                continue
            type_ = type_of(one.key, self._prefix)
            before, after = _document(one.before), _document(one.after)
            is_update = one.before is not None and one.after is not None
            yield {
                "time": item.observed_at,
                "not_before": window.not_before if window else None,
                "epoch": item.epoch,
                "revision": item.revision,
                "kind": kind,
                "op": _op(one, is_expiry=is_expiry),
                "type": type_,
                "resource": name_of(one.key, self._prefix),
                "key": shown(one.key),
                "version": one.after.version if one.after else 0,
                "create_revision": one.after.create_revision if one.after else 0,
                "lease": one.after.lease if one.after else 0,
                "transaction_keys": len(item.changes) + others,
                "summary": "\n".join(words(type_, before, after, reveal=self._reveal)) if is_update else "",
                "patch": self._patch(type_, before, after) if is_update else None,
                "value": self._value(type_, after),
            }

    def _patch(self, type_: str | None, before: Any, after: Any) -> str | None:
        if isinstance(before, Opaque) or isinstance(after, Opaque):
            return None
        return msgspec.json.encode(patch(type_, before, after, reveal=self._reveal)).decode()

    def _value(self, type_: str | None, document: Any) -> str | None:
        if document is None or isinstance(document, Opaque):
            return None
        return msgspec.json.encode(document if self._reveal else masked(type_, document)).decode()


class _Counted:
    """Rows that are counted while somebody takes them."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.count += 1
            yield row


def _claim(place: ObjectStore, about: About) -> None:
    """Say in *place* what is exported there.

    Raises:
        UsageError: Something else is.
    """
    body = msgspec.json.encode(about)
    held = _held(place)
    if held is None:
        with suppress(ObjectExists):  # another's: it is looked at
            place.create(ABOUT, body)
        held = _held(place)
    if held != body:
        raise UsageError(
            f"{place} has an export of another archive, or one that was made with another --reveal",
            hint="export to another place, or delete that one first",
        )


def _held(place: ObjectStore) -> bytes | None:
    try:
        return place.get(ABOUT)
    except ObjectMissing:
        return None


def _is_written(place: ObjectStore, day: date, body: bytes) -> bool:
    """Store a day's file; False if another export was quicker."""
    try:
        place.create(f"day={day.isoformat()}/history.parquet", body)
    except ObjectExists:
        return False
    return True


def _is_told(item: Change | Break, since: AtTime | None) -> bool:
    """Tell whether *item* lies behind what was exported before."""
    return since is None or item.observed_at >= since.moment


def _day_of(name: str) -> date | None:
    found = _DAY.fullmatch(name)
    return date.fromisoformat(found[1]) if found else None


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _document(record: Record | None) -> Any:
    return None if record is None else document_of(record.value)


def _op(one: KeyChange, *, is_expiry: bool) -> str:
    if one.after is None:
        return "expire" if is_expiry else "delete"
    return "create" if one.before is None else "update"
