"""Write a file that somebody else watches: whole or not at all, and noticed by whoever compares times."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from replicator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replicator.ports import Clock


def write_file(path: Path, chunks: Iterable[bytes], clock: Clock) -> None:
    """Put *chunks* at *path*, mode 0600, with an mtime that is later in whole seconds than the one before.

    A gateway compares the mtime in whole seconds: two writes within one second would else be one to it.
    A symbolic link is followed; a device or a pipe is written as it is.

    Raises:
        UsageError: The file can't be written there; what was there is untouched.
    """
    target = Path(os.path.realpath(path))
    try:
        before = target.stat() if target.exists() else None
        if before is not None and not stat.S_ISREG(before.st_mode):
            _write_special(target, chunks)
        else:
            _replace(target, chunks, _later_than(before, clock))
    except OSError as error:
        raise UsageError(
            f"can't write {path}: {error.strerror or error}",
            hint="choose another place: a directory that is there, and that this user may write to",
        ) from None


def _later_than(before: os.stat_result | None, clock: Clock) -> int:
    now_s = int(clock.now().timestamp())
    return now_s if before is None else max(now_s, int(before.st_mtime) + 1)


def _write_special(target: Path, chunks: Iterable[bytes]) -> None:
    with target.open("wb") as file:
        file.writelines(chunks)


def _replace(target: Path, chunks: Iterable[bytes], mtime_s: int) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(chunks)
            file.flush()
            os.utime(file.fileno(), (mtime_s, mtime_s))
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
