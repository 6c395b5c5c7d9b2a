"""What the archive's objects are called. A name is a position: it tells where its contents begin."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from replicator.core.limits import INT64_MAX, is_sound

ARCHIVE = "archive.json"
CHECKPOINT = "checkpoint.json"
POINTS = "points/"

_TIME = "%Y%m%dT%H%M%S.%fZ"
_MERGED = re.compile(
    r"e(\d{8})/merged/(\d{20})-(\d{20})@(\d{8}T\d{6}\.\d{6}Z)--(\d{8}T\d{6}\.\d{6}Z)\.jsonl\.zst", re.ASCII
)
_POINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_PRUNED = re.compile(r"e(\d{8})/pruned/(\d{20})@(\d{8}T\d{6}\.\d{6}Z)\.json", re.ASCII)
_LOG = re.compile(r"e(\d{8})/log/(\d{20})\.jsonl\.zst", re.ASCII)
_SNAPSHOT = re.compile(r"e(\d{8})/snapshots/(\d{20})@(\d{8}T\d{6}\.\d{6}Z)\.jsonl\.zst", re.ASCII)


class LogName(NamedTuple):
    """A segment's name: it holds what follows revision *after* in *epoch*."""

    epoch: int
    after: int

    def __str__(self) -> str:
        return f"{log_folder(self.epoch)}{self.after:020d}.jsonl.zst"


class MergedName(NamedTuple):
    """A merged object's name: it holds the segments of *epoch* from revision *after* through *last*.

    *begun_at* and *ended_at* (aware, UTC) are the stamps of its first and its last revision.
    """

    epoch: int
    after: int
    last: int
    begun_at: datetime
    ended_at: datetime

    def __str__(self) -> str:
        span = f"{self.begun_at.strftime(_TIME)}--{self.ended_at.strftime(_TIME)}"
        return f"{merged_folder(self.epoch)}{self.after:020d}-{self.last:020d}@{span}.jsonl.zst"


PieceName = LogName | MergedName
"""What the log is made of: a segment as it was first stored, or several of them in one object."""


class SnapshotName(NamedTuple):
    """A snapshot's name: the state at *revision*, which was stamped *observed_at* (aware, UTC).

    An epoch's base is marked in its name and never looked for: only the one that the epoch's document names
    counts, and not what attempts to open the epoch have left.
    """

    epoch: int
    revision: int
    observed_at: datetime
    is_base: bool = False

    def __str__(self) -> str:
        mark = ".base" if self.is_base else ""
        stamp = self.observed_at.strftime(_TIME)
        return f"{snapshot_folder(self.epoch)}{self.revision:020d}@{stamp}{mark}.jsonl.zst"


class PrunedName(NamedTuple):
    """The name of a record that retention leaves: in *epoch*, what lies before revision *through* is thinned.

    *pruned_at* (aware, UTC) tells one record from another.
    """

    epoch: int
    through: int
    pruned_at: datetime

    def __str__(self) -> str:
        return f"{pruned_folder(self.epoch)}{self.through:020d}@{self.pruned_at.strftime(_TIME)}.json"


def epoch_document(epoch: int) -> str:
    """Return the name of the document that opens *epoch*."""
    return f"e{epoch:08d}/epoch.json"


def gap_record(epoch: int, observed_at: datetime) -> str:
    """Return the name of the record of the gap before *epoch*, whose base is stamped *observed_at*.

    The stamp tells it from records of attempts that opened no epoch, as it does for bases.
    """
    return f"e{epoch:08d}/gap@{observed_at.strftime(_TIME)}.jsonl.zst"


def gap_acknowledgement(epoch: int) -> str:
    """Return the name of the document that acknowledges the gap before *epoch*."""
    return f"e{epoch:08d}/gap-acknowledged.json"


def point_document(name: str) -> str:
    """Return the name of the document of the point *name*."""
    return f"{POINTS}{name}.json"


def is_point_name(name: str) -> bool:
    """Tell whether a point may be called *name*: letters, digits, ``.``, ``_`` and ``-``, up to 64."""
    return _POINT.fullmatch(name) is not None


def epoch_folder(epoch: int) -> str:
    """Return the prefix of all objects of an epoch."""
    return f"e{epoch:08d}/"


def log_folder(epoch: int) -> str:
    """Return what the names of all segments of *epoch* begin with."""
    return f"e{epoch:08d}/log/"


def merged_folder(epoch: int) -> str:
    """Return what the names of all merged objects of *epoch* begin with."""
    return f"e{epoch:08d}/merged/"


def pruned_folder(epoch: int) -> str:
    """Return what the names of all records of retention in *epoch* begin with."""
    return f"e{epoch:08d}/pruned/"


def snapshot_folder(epoch: int) -> str:
    """Return what the names of all snapshots of *epoch* begin with."""
    return f"e{epoch:08d}/snapshots/"


def parse_log(name: str) -> LogName | None:
    """Return what *name* says, or None if it isn't a segment's: strangers in a bucket are passed over."""
    match = _LOG.fullmatch(name)
    if match is None or int(match[2]) > INT64_MAX:
        return None
    return LogName(int(match[1]), int(match[2]))


def parse_merged(name: str) -> MergedName | None:
    """Return what *name* says, or None if it isn't a merged object's."""
    match = _MERGED.fullmatch(name)
    if match is None:
        return None
    epoch, after, last = map(int, match.group(1, 2, 3))
    begun_at, ended_at = _moment(match[4]), _moment(match[5])
    if begun_at is None or ended_at is None or not after < last <= INT64_MAX:
        return None
    return MergedName(epoch, after, last, begun_at, ended_at)


def parse_snapshot(name: str) -> SnapshotName | None:
    """Return what *name* says, or None if it isn't a snapshot's, or is a base's."""
    match = _SNAPSHOT.fullmatch(name)
    observed_at = _moment(match[3]) if match else None
    if match is None or observed_at is None or int(match[2]) > INT64_MAX:
        return None
    return SnapshotName(int(match[1]), int(match[2]), observed_at)


def parse_pruned(name: str) -> PrunedName | None:
    """Return what *name* says, or None if it isn't a record's of retention."""
    match = _PRUNED.fullmatch(name)
    pruned_at = _moment(match[3]) if match else None
    if match is None or pruned_at is None or int(match[2]) > INT64_MAX:
        return None
    return PrunedName(int(match[1]), int(match[2]), pruned_at)


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)  # strptime takes 30 times as long, and names are many
    except ValueError:
        return None
    return moment if is_sound(moment) else None
