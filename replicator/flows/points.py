"""Named points: moments that are worth a name, and that retention keeps."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from replicator.core import documents, names
from replicator.core.documents import Point
from replicator.core.plan import AtRevision
from replicator.core.quantities import format_time
from replicator.core.records import Position
from replicator.errors import ObjectExists, ObjectMissing, ReplicatorError, TargetNotRestorable, UsageError
from replicator.flows.fetch import fetch
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from replicator.core.plan import Target
    from replicator.ports import Clock, ObjectStore

# Longer than any pass of retention takes: behind its record it looks at the points once more, then deletes.
_THINNING = timedelta(hours=1)


def list_points(store: ObjectStore) -> list[Point]:
    """Return all named points, by name.

    Raises:
        ArchiveDamaged: One of their documents is.
    """
    listed = [name for name in store.names(names.POINTS) if name.endswith(".json")]
    try:
        return [documents.decode(Point, body, name) for name, body in fetch(store, listed)]
    except ObjectMissing:  # removed this moment
        return list_points(store)


def read_point(store: ObjectStore, name: str) -> Point:
    """Return the point *name*.

    Raises:
        UsageError: There is none.
        ArchiveDamaged: Its document is.
    """
    document = names.point_document(_checked(name))
    try:
        return documents.decode(Point, store.get(document), document)
    except ObjectMissing:
        raise _unknown(name) from None


def target_of(point: Point) -> AtRevision:
    """Return what restores *point*."""
    return AtRevision(point.position.revision, point.position.epoch)


def add_point(store: ObjectStore, name: str, target: Target, note: str, clock: Clock) -> Point:
    """Give *target* a name, after restoring it: whatever has a name can be had.

    Raises:
        UsageError: The name is taken, or can't be one.
        TargetNotRestorable: The archive doesn't cover the target, or retention is thinning there.
        ArchiveDamaged: What is needed for it is missing, or isn't what was written.
    """
    document = names.point_document(_checked(name))
    restored = restore(store, target)
    position = Position(restored.epoch.epoch, restored.state.revision)
    point = Point(
        name=name, position=position, moment=restored.replay.observed_at, note=note, made_at=clock.now()
    )
    try:
        store.create(document, documents.encode(point))
    except ObjectExists:
        raise UsageError(
            f"there is a point {name} already", hint=f"take another name, or `replicator point rm {name}`"
        ) from None
    try:
        _check_kept(store, point, clock)
    except ReplicatorError:
        store.delete(document)
        raise
    return point


def remove_point(store: ObjectStore, name: str) -> None:
    """Forget the point *name*: retention may then take what it needs.

    Raises:
        UsageError: There is none.
    """
    document = names.point_document(_checked(name))
    try:
        store.get(document)
    except ObjectMissing:
        raise _unknown(name) from None
    store.delete(document)


def _check_kept(store: ObjectStore, point: Point, clock: Clock) -> None:
    """Raise if retention may have planned without *point*, which it didn't see yet."""
    epoch, revision = point.position.epoch, point.position.revision
    for record in filter(None, map(names.parse_pruned, store.names(names.pruned_folder(epoch)))):
        if revision < record.through and clock.now() - record.pruned_at < _THINNING:
            raise TargetNotRestorable(
                f"revision {revision} of epoch {epoch} lies where retention is thinning the log just now",
                hint=f"try again after {format_time(record.pruned_at + _THINNING)}",
            )
    restore(store, target_of(point))


def _checked(name: str) -> str:
    if not names.is_point_name(name):
        raise UsageError(
            f'"{name}" is no name for a point',
            hint="use letters, digits, . _ and -, beginning with a letter or digit: 64 at most",
        )
    return name


def _unknown(name: str) -> UsageError:
    return UsageError(f"there is no point {name}", hint="replicator point list  (shows all)")
