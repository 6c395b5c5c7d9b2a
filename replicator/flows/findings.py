"""What a verification found: damages, which cost moments, and notes, which cost nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from replicator.core.quantities import format_time
from replicator.core.records import Position  # noqa: TC001 (msgspec reads the annotations)
from replicator.flows.progress import UNWATCHED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from replicator.flows.progress import Progress
    from replicator.ports import ObjectStore

BRING_BACK = "bring the object back from a replica or an older version of the bucket"
NOTHING_LOST = "none"


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """Something that isn't as it was written.

    Attributes:
        object: Name of the object, below the archive's root.
        what: What is wrong with it.
        lost: The moments that can't be restored because of it.
        remedy: What to do about it.
    """

    object: str
    what: str
    lost: str
    remedy: str


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Objects that no restore needs: how many of a kind, and the first of them.

    Attributes:
        what: What kind, and whether to do anything.
        objects: How many.
        first: Name of the first.
    """

    what: str
    objects: int
    first: str


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was read, and found whole but for the findings.

    Attributes:
        epochs: How many were walked.
        segments: How many were folded, each proved by its digest.
        snapshots: How many were compared with the fold.
        revisions: How many were folded.
        objects: How many were read.
        size_bytes: Their size as stored.
        end: Where the walk ended; None if nothing could be walked.
    """

    epochs: int
    segments: int
    snapshots: int
    revisions: int
    objects: int
    size_bytes: int
    end: Position | None


class Findings:
    """Gathers what a walk finds and counts. Notes are counted by kind, so that memory stays small.

    Attributes:
        end: Where the walk ended, as far as it came.
        is_cut: Whether it was cut short there by a damage that is told of.
    """

    def __init__(self) -> None:
        self.damages: list[Damage] = []
        self.epochs = self.segments = self.snapshots = self.revisions = 0
        self.end: Position | None = None
        self.is_cut = False
        self._notes: dict[str, Note] = {}

    def damage(self, name: str, what: str, lost: str, remedy: str = BRING_BACK) -> None:
        """Take down what is wrong with the object *name*."""
        self.damages.append(Damage(object=name, what=what, lost=lost, remedy=remedy))

    def note(self, name: str, what: str) -> None:
        """Take down that *name* is there, and of which kind it is."""
        known = self._notes.get(what)
        objects, first = (known.objects + 1, known.first) if known else (1, name)
        self._notes[what] = Note(what=what, objects=objects, first=first)

    @property
    def notes(self) -> list[Note]:
        """One note for each kind, in the order in which they were met."""
        return list(self._notes.values())

    def verified(self, reading: Reading) -> Verified:
        """Return the sums."""
        return Verified(
            epochs=self.epochs,
            segments=self.segments,
            snapshots=self.snapshots,
            revisions=self.revisions,
            objects=reading.objects,
            size_bytes=reading.size_bytes,
            end=self.end,
        )


def moments(first: tuple[int, datetime], before: tuple[int, datetime] | None, *, inclusive: bool) -> str:
    """Return the words for what lies between two places, each a revision and its stamp.

    Args:
        first: Where it begins.
        before: Where it ends; that place itself is fine. None for the log's end.
        inclusive: Whether *first* itself belongs to it.
    """
    words = f"{'from' if inclusive else 'after'} revision {first[0]} ({format_time(first[1])})"
    if before is None:
        return f"{words} on, to the log's end"
    return f"{words} and before revision {before[0]} ({format_time(before[1])})"


class Reading:
    """A store that counts what is read from it, and tells of it; it passes everything else on.

    Args:
        store: The store.
        progress: Hears of each object that was read; from several threads, one at a time.
    """

    def __init__(self, store: ObjectStore, progress: Progress = UNWATCHED) -> None:
        self._store = store
        self._progress = progress
        self._lock = threading.Lock()
        self.objects = self.size_bytes = 0

    def __str__(self) -> str:
        return str(self._store)

    def get(self, name: str) -> bytes:
        """Return the object, and count it."""
        body = self._store.get(name)
        with self._lock:
            self.objects += 1
            self.size_bytes += len(body)
            self._progress.step()
        return body

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the names, as the store does."""
        return self._store.names(prefix, after)

    def create(self, name: str, body: bytes) -> None:
        """Store the object, as the store does."""
        self._store.create(name, body)

    def replace(self, name: str, old: bytes | None, new: bytes) -> None:
        """Swap the object, as the store does."""
        self._store.replace(name, old, new)

    def delete(self, name: str) -> None:
        """Delete the object, as the store does."""
        self._store.delete(name)
