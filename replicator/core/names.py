"""What the archive's objects are called. A name is a position: it tells where its contents begin."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from replicator.core.limits import INT64_MAX, is_sound

ARCHIVE = "archive.json"
CHECKPOINT = "checkpoint.json"

_TIME = "%Y%m%dT%H%M%S.%fZ"
_LOG = re.compile(r"e(\d{8})/log/(\d{20})\.jsonl\.zst", re.ASCII)
_SNAPSHOT = re.compile(r"e(\d{8})/snapshots/(\d{20})@(\d{8}T\d{6}\.\d{6}Z)\.jsonl\.zst", re.ASCII)


class LogName(NamedTuple):
    """A segment's name: it holds what follows revision *after* in *epoch*."""

    epoch: int
    after: int

    def __str__(self) -> str:
        return f"{log_folder(self.epoch)}{self.after:020d}.jsonl.zst"


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


def epoch_document(epoch: int) -> str:
    """Return the name of the document that opens *epoch*."""
    return f"e{epoch:08d}/epoch.json"


def log_folder(epoch: int) -> str:
    """Return what the names of all segments of *epoch* begin with."""
    return f"e{epoch:08d}/log/"


def snapshot_folder(epoch: int) -> str:
    """Return what the names of all snapshots of *epoch* begin with."""
    return f"e{epoch:08d}/snapshots/"


def parse_log(name: str) -> LogName | None:
    """Return what *name* says, or None if it isn't a segment's: strangers in a bucket are passed over."""
    match = _LOG.fullmatch(name)
    if match is None or int(match[2]) > INT64_MAX:
        return None
    return LogName(int(match[1]), int(match[2]))


def parse_snapshot(name: str) -> SnapshotName | None:
    """Return what *name* says, or None if it isn't a snapshot's, or is a base's."""
    match = _SNAPSHOT.fullmatch(name)
    if match is None or int(match[2]) > INT64_MAX:
        return None
    try:
        observed_at = datetime.strptime(match[3], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    if not is_sound(observed_at):
        return None
    return SnapshotName(int(match[1]), int(match[2]), observed_at)
