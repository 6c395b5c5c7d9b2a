"""What stands beside the log: named points, and the records of retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.core import documents, names
from replicator.core.documents import Point, Pruned
from replicator.core.quantities import format_time
from replicator.errors import ArchiveDamaged, ObjectMissing
from replicator.flows.findings import NOTHING_LOST

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from replicator.core.records import Batch
    from replicator.flows.findings import Findings
    from replicator.ports import ObjectStore

_FORGET = "bring it back, or `replicator point rm` and make it anew: retention stops until then"
_KEEP = "bring it back, and never delete it: its name tells that retention, and nothing else, made holes"


class Wanted:
    """The named points that the walk has yet to come by."""

    def __init__(self, points: Iterable[Point], findings: Findings) -> None:
        self._points: dict[int, list[Point]] = {}
        self._findings = findings
        for point in points:
            self._points.setdefault(point.position.revision, []).append(point)

    def reach(self, revision: int, observed_at: datetime) -> None:
        """Take note that the state at *revision*, stamped *observed_at*, can be restored."""
        for point in self._points.pop(revision, ()):
            if point.moment != observed_at:
                what = f"its time isn't that of its revision, which is {format_time(observed_at)}"
                self._findings.damage(names.point_document(point.name), what, NOTHING_LOST)

    def reach_all(self, batches: Iterable[Batch]) -> None:
        """Take note of all *batches*."""
        if self._points:
            for batch in batches:
                self.reach(batch.revision, batch.observed_at)

    def tell(self) -> None:
        """Tell of those that weren't come by."""
        for point in (point for group in self._points.values() for point in group):
            self._findings.damage(
                names.point_document(point.name),
                f"revision {point.position.revision} of epoch {point.position.epoch} can't be restored",
                f"the moment that it names, {format_time(point.moment)}",
                "see what else is damaged; once that is back, the point is",
            )


def read_points(store: ObjectStore, findings: Findings) -> list[Point]:
    """Return the named points whose documents are whole."""
    found = []
    for name in [name for name in store.names(names.POINTS) if name.endswith(".json")]:
        try:
            point = documents.decode(Point, store.get(name), name)
        except ObjectMissing:  # removed this moment
            continue
        except ArchiveDamaged as damage:
            findings.damage(name, str(damage), "none while retention doesn't run", _FORGET)
            continue
        if name != names.point_document(point.name):
            findings.damage(name, f"it is the document of the point {point.name}", NOTHING_LOST, _FORGET)
        else:
            found.append(point)
    return found


def look_at_pruned(store: ObjectStore, epoch: int, findings: Findings) -> None:
    """Read the records that retention left in *epoch*: they are to say what their names do."""
    for text in list(store.names(names.pruned_folder(epoch))):
        name = names.parse_pruned(text)
        if name is None:
            continue
        try:
            record = documents.decode(Pruned, store.get(text), text)
        except (ArchiveDamaged, ObjectMissing) as damage:
            findings.damage(text, str(damage), NOTHING_LOST, _KEEP)
            continue
        if (record.epoch, record.through, record.pruned_at) != name:
            findings.damage(text, "it says something else than its name", NOTHING_LOST, _KEEP)
