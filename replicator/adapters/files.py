"""Files by open directory: steps that follow no symbolic link, and what their failures mean to a user."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from replicator.errors import StoreMisconfigured, StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY

_LINKS = "keep {root} free of symbolic links and foreign files; an archive moves as a whole"
_NO_LINKS = "put {root} on one file system that knows hard links, such as ext4 or xfs"
_SPACE = "free some space on the file system of {root}"
_FIRM = {
    errno.EACCES: "let this user read and write {root}, or run as its owner",
    errno.EPERM: "let this user own {root}, on a file system that knows hard links",
    errno.EROFS: "mount the file system of {root} writable",
    errno.ENOTDIR: _LINKS,
    errno.EISDIR: _LINKS,
    errno.ELOOP: _LINKS,
    errno.EXDEV: _NO_LINKS,
    errno.ENOSYS: _NO_LINKS,
    errno.EOPNOTSUPP: _NO_LINKS,
}
_PASSING = {errno.ENOSPC: _SPACE, errno.EDQUOT: _SPACE}


class Place(NamedTuple):
    """A name in an open directory.

    Args:
        directory: The directory's descriptor; its owner closes it.
        leaf: A name without slashes.
    """

    directory: int
    leaf: str


def open_directory(path: Path) -> int:
    """Return a descriptor of the directory at *path*."""
    return os.open(path, _DIRECTORY)


def open_below(directory: int, part: str) -> int:
    """Return a descriptor of *part* of an open *directory*; a symbolic link is an OSError."""
    return os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)


def sync_directory(path: Path) -> None:
    """Make the entries of the directory at *path* durable."""
    directory = open_directory(path)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def write_new(place: Place, body: bytes) -> float:
    """Write and sync a new file of mode 0600; return its mtime in seconds."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(place.leaf, flags, mode=0o600, dir_fd=place.directory), "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_mtime


def read(place: Place, longest_bytes: int | None = None) -> bytes | None:
    """Return the file's bytes, or None if they are more than *longest_bytes*; a link is an OSError."""
    with os.fdopen(os.open(place.leaf, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=place.directory), "rb") as file:
        if longest_bytes is not None and os.fstat(file.fileno()).st_size > longest_bytes:
            return None
        return file.read()


def link(origin: Place, to: Place) -> None:
    """Give the file at *origin* a second name; FileExistsError if that is taken."""
    os.link(origin.leaf, to.leaf, src_dir_fd=origin.directory, dst_dir_fd=to.directory, follow_symlinks=False)


def move(origin: Place, to: Place) -> None:
    """Give the file at *origin* the name *to*, in place of what had it."""
    os.rename(origin.leaf, to.leaf, src_dir_fd=origin.directory, dst_dir_fd=to.directory)


def explanation(error: OSError, root: Path, name: str) -> StoreUnavailable:
    """Return what *error* means for the object *name* of the archive in *root*, and what to do."""
    message = f"{root / name}: {(error.strerror or str(error)).lower()}"
    if error.errno in _FIRM:
        return StoreMisconfigured(message, hint=_FIRM[error.errno].format(root=root))
    hint = _PASSING.get(error.errno or 0, "check the disk behind {root}, and that nobody else clears it")
    return StoreUnavailable(message, hint=hint.format(root=root))
