"""Write a file that somebody else watches: whole or not at all, and noticed by whoever compares times."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from replicator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replicator.ports import Clock

_DESCRIPTORS = "/proc/self/fd"

# What a file system says that has no unnamed files, or a kernel that is older than they are.
_NO_UNNAMED = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.ENOSYS}


def write_file(path: Path, chunks: Iterable[bytes], clock: Clock, *, keeps_access: bool = False) -> None:
    """Put *chunks* at *path*, mode 0600, with an mtime that is later in whole seconds than the one before.

    A gateway compares the mtime in whole seconds: two writes within one second would else be one to it.
    A symbolic link is followed; a device or a pipe is written as it is. Where *keeps_access*, the file has
    the mode, and as far as we may give it the owner and group, of what it replaces.

    The file has no name until it is whole, so that a process that is killed amid it leaves nothing behind:
    it holds decrypted secrets. (On a file system without unnamed files, such as NFS, it leaves a hidden
    file of mode 0600 beside *path*.)

    Raises:
        UsageError: The file can't be written there; what was there is untouched.
    """
    target = Path(os.path.realpath(path))
    try:
        before = target.stat() if target.exists() else None
        if before is not None and not stat.S_ISREG(before.st_mode):
            _write_special(target, chunks)
        else:
            _replace(target, chunks, _later_than(before, clock), before if keeps_access else None)
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


def _replace(target: Path, chunks: Iterable[bytes], mtime_s: int, access: os.stat_result | None) -> None:
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with _new_file(folder, target) as (descriptor, name):
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.writelines(chunks)
                file.flush()
                if access is not None:
                    _give_access(descriptor, access)
                os.utime(descriptor, (mtime_s, mtime_s))
                os.fsync(descriptor)
            _move(name or _named(descriptor, folder, target), folder, target)
        os.fsync(folder)
    finally:
        os.close(folder)


def _give_access(descriptor: int, access: os.stat_result) -> None:
    for owner, group in ((access.st_uid, -1), (-1, access.st_gid)):
        with suppress(PermissionError):  # only root may give files away
            os.fchown(descriptor, owner, group)
    os.fchmod(descriptor, stat.S_IMODE(access.st_mode))


@contextmanager
def _new_file(folder: int, target: Path) -> Iterator[tuple[int, str]]:
    """Open a file of mode 0600 that has no name, or, where there are none such, a hidden one."""
    descriptor, name = _unnamed(folder), ""
    if descriptor is None:
        descriptor, path = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        name = Path(path).name
    try:
        yield descriptor, name
    except BaseException:
        if name:
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)
        raise
    finally:
        os.close(descriptor)


def _unnamed(folder: int) -> int | None:
    if not Path(_DESCRIPTORS).is_dir():  # without it the file could never be named
        return None
    try:
        return os.open(".", os.O_TMPFILE | os.O_WRONLY, mode=0o600, dir_fd=folder)
    except OSError as error:
        if error.errno in _NO_UNNAMED:
            return None
        raise


def _named(descriptor: int, folder: int, target: Path) -> str:
    """Give the unnamed file a name for the moment until it replaces *target*; return that."""
    name = f".{target.name}.{secrets.token_hex(8)}"
    os.link(f"{_DESCRIPTORS}/{descriptor}", name, dst_dir_fd=folder, follow_symlinks=True)
    return name


def _move(name: str, folder: int, target: Path) -> None:
    try:
        os.rename(name, target.name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)
        raise
