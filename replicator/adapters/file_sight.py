"""One watched file: what it looks like, since when, and its bytes once nobody is writing it."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime
    from typing import TypeAlias

    from replicator.ports import Clock

LONGEST_BYTES = 16 << 20
"""No configuration is longer; a file that is can't be meant."""

_GONE = {errno.ENOENT, errno.ENOTDIR}


class Signature(NamedTuple):
    """What differs as soon as another file lies there, or the same one was written to."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a file must look the same before it is believed, in seconds.

    Attributes:
        quiet_s: Any file: somebody may be in the middle of writing it.
        gone_s: One that is gone, or empty: an editor may have taken it away to write it anew.
        at_most_s: After so long a file that never rests is taken as it is.
        poll_s: How often files are looked at where nothing tells of a change.
    """

    quiet_s: float = 0.3
    gone_s: float = 2.0
    at_most_s: float = 10.0
    poll_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that is there, or may be, and can't be read: why."""

    cause: str


# None: there is no such file.
Sight: TypeAlias = "Signature | Unreadable | None"


class WatchedFile:
    """The file at *path*, through whatever symbolic links; owned by one thread.

    Attributes:
        path: As it was named.
        sight: What it looked like at the last look.
        since: When it was first seen like that.
    """

    def __init__(self, path: str, clock: Clock, patience: Patience) -> None:
        self.path = path
        self._clock = clock
        self._patience = patience
        self._since_s = self._restless_since_s = clock.monotonic()
        self._taken: tuple[Sight] | None = None
        self.sight: Sight = glance(path)
        self.since: datetime = clock.now()

    def begin(self) -> None:
        """Begin to look at it, after a time when nobody did."""
        self._restless_since_s = self._clock.monotonic()

    def look(self) -> bool:
        """Look again; tell whether it is another file than before, and worth waiting for."""
        now, now_s = self._clock.now(), self._clock.monotonic()
        if not self.is_new:
            self._restless_since_s = now_s
        sight = glance(self.path)
        if sight == self.sight:
            return False
        self.sight, self.since, self._since_s = sight, now, now_s
        return not self.is_restless

    @property
    def is_new(self) -> bool:
        """Whether it looks other than when it was last taken, or never was."""
        return self._taken != (self.sight,)

    @property
    def is_settled(self) -> bool:
        """Whether it has looked like this for long enough to be believed, or never comes to rest."""
        now_s, patience = self._clock.monotonic(), self._patience
        is_gone = self.sight is None or (isinstance(self.sight, Signature) and not self.sight.size)
        enough_s = patience.gone_s if is_gone else patience.quiet_s
        return now_s - self._since_s >= enough_s or self.is_restless

    @property
    def is_restless(self) -> bool:
        """Whether it has been changing for so long that nobody waits any more."""
        return self._clock.monotonic() - self._restless_since_s >= self._patience.at_most_s

    def read(self) -> bytes | Unreadable | None:
        """Return the bytes of the file as it was seen; None if it is another by now, or was written to.

        A file that isn't there must not be read.
        """
        if isinstance(self.sight, Unreadable):
            return self.sight
        try:
            return _read(self.path, None if self.is_restless else self.sight)
        except OSError as error:
            return None if error.errno in _GONE else Unreadable(_why(error))

    def taken(self, sight: Sight) -> None:
        """Note that it is known as it was at *sight*."""
        self._taken = (sight,)
        self._restless_since_s = self._clock.monotonic()

    def forget(self) -> None:
        """Let it be new again."""
        self._taken = None


def glance(path: str) -> Sight:
    """Return what lies at *path* now."""
    try:
        return _signature(Path(path).stat())
    except OSError as error:
        return None if error.errno in _GONE else Unreadable(_why(error))


def _signature(status: os.stat_result) -> Signature | Unreadable:
    if not stat.S_ISREG(status.st_mode):
        return Unreadable("it is no regular file")
    if status.st_size > LONGEST_BYTES:
        return Unreadable(f"it is longer than {LONGEST_BYTES} bytes")
    return Signature(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _read(path: str, seen: Sight) -> bytes | None:
    """Return the bytes of the file *seen*, None for whichever; None if that isn't there before and after."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        before = _signature(os.fstat(file.fileno()))
        if isinstance(before, Unreadable):  # it was another when it was seen
            return None
        body = file.read(LONGEST_BYTES)
        return (
            body if seen in (None, before) and seen in (None, _signature(os.fstat(file.fileno()))) else None
        )


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
