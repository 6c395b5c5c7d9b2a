"""What ``replicator demo --json`` says, and what its screen is drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from replicator.demo.files import Change


class StepLine(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the story, as the archive has it.

    Attributes:
        story_time: As in ``09:12``.
        what: What people would say of it.
        mood: ``work``, ``mistake`` or ``repair``.
        revisions: etcd's revisions: the first and the last.
        observed_at: The last one's stamp in the archive, RFC 3339: the real time, not the story's.
        segment: Name of the object that holds it.
        durable_after: Seconds from etcd's commit until that object was there.
    """

    story_time: str
    what: str
    mood: str
    revisions: tuple[int, int]
    observed_at: str
    segment: str
    durable_after: float


class MomentLine(msgspec.Struct, frozen=True, kw_only=True):
    """A moment that was restored.

    Attributes:
        name: ``before``, ``during`` or ``after`` the mistake.
        story_time: As in ``14:31``.
        at: What was asked for, as ``restore --at`` takes it.
        revision: etcd's revision that this gave.
        keys: How many keys were live.
        state_digest: Digest of the state, proved against the writer's.
        file: Path of the restored file.
        restore_s: Seconds from the question to the finished file.
    """

    name: str
    story_time: str
    at: str
    revision: int
    keys: int
    state_digest: str
    file: str
    restore_s: float


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two moments: items by ``<section>/<name>``, fields by dotted path; no values.

    Attributes:
        since: Name of the first moment.
        until: Name of the second.
        new: Items that only the second has.
        gone: Items that only the first has.
        changed: The fields that differ, by item; times aside.
    """

    since: str
    until: str
    new: tuple[str, ...]
    gone: tuple[str, ...]
    changed: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, since: str, until: str, changes: tuple[Change, ...]) -> Difference:
        """Return *changes* from the moment *since* to the moment *until*, without their values."""
        return cls(
            since=since,
            until=until,
            new=tuple(change.item for change in changes if change.kind == "new"),
            gone=tuple(change.item for change in changes if change.kind == "gone"),
            changed={
                change.item: tuple(field.path for field in change.fields)
                for change in changes
                if change.kind == "changed"
            },
        )


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """All that was done.

    Attributes:
        folder: Holds all that is named here; the user's to delete.
        archive: URL of the archive.
        etcd_version: The version of the throw-away etcd.
        events: How many puts and deletes were recorded.
        segments: The archive's objects that hold them.
        steps: The day.
        moments: Those that were restored.
        differences: Between them.
        duration: Seconds in all.
    """

    folder: str
    archive: str
    etcd_version: str
    events: int
    segments: tuple[str, ...]
    steps: tuple[StepLine, ...]
    moments: tuple[MomentLine, ...]
    differences: tuple[Difference, ...]
    duration: float
