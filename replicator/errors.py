"""Everything that can go wrong for a user: one class for each thing that they would do differently.

An error is a sentence (what is wrong, and where), a *hint* (what to do), and an exit code. The command
line prints the first two and exits with the third; whatever is no `ReplicatorError` is a bug, keeps its
traceback and exits with 1. The codes are the contract of docs/reference.md.
"""

from __future__ import annotations

from typing import ClassVar


class ReplicatorError(Exception):
    """Something that a user can act upon.

    Args:
        message: What is wrong and where, in one line and without secrets.
        hint: What to do about it, in one line.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(ReplicatorError):
    """The command line or the configuration can't be meant as it stands."""

    exit_code = 2


class KeyMissing(UsageError):
    """An object is encrypted with a key that wasn't given, or can't be had."""


class TargetNotRestorable(ReplicatorError):
    """The archive doesn't cover the moment that was asked for: before, after, or in a gap."""

    exit_code = 3


class ArchiveDamaged(ReplicatorError):
    """Bytes in the archive aren't those that were written, or an object that must be there is missing."""

    exit_code = 4


class NotSealed(ArchiveDamaged):
    """An object isn't encrypted, in an archive where each must be: anybody may have put it there."""


class SourceUnavailable(ReplicatorError):
    """etcd can't be reached, refuses us, or doesn't answer."""

    exit_code = 5


class StoreUnavailable(ReplicatorError):
    """The archive's store can't be reached, refuses us, or doesn't answer. Trying again may help."""

    exit_code = 5


class StoreMisconfigured(StoreUnavailable):
    """The store answers, and its answer won't change by itself: no bucket, no permission, wrong key."""


class WriterFenced(ReplicatorError):
    """Another writer holds the lease, or has extended the log; this one must not go on."""

    exit_code = 6


class GatewayFailed(ReplicatorError):
    """The gateway beside the agent can't be changed, doesn't reload, or doesn't get ready."""

    exit_code = 5


class Refused(ReplicatorError):
    """What was asked for could be done, but a safeguard that the user set says no."""

    exit_code = 7


class Different(ReplicatorError):
    """Two things that should be alike were compared, and differ."""

    exit_code = 8


class ObjectMissing(Exception):
    """No object has this name."""


class ObjectExists(Exception):
    """The name is taken by an object with other bytes."""


class ObjectChanged(Exception):
    """A compare-and-set found other bytes than it was told to replace."""


class Compacted(Exception):
    """etcd no longer holds the revision that was asked for.

    Args:
        oldest: The oldest revision that it does hold; 0 if it doesn't say.
    """

    def __init__(self, oldest: int = 0) -> None:
        super().__init__()
        self.oldest = oldest
