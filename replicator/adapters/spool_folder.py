"""The spool's folders on local disk: one for each writer, locked as long as its process lives."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from replicator.adapters.directory import DirectoryStore
from replicator.adapters.files import explanation
from replicator.adapters.object_names import is_name_part
from replicator.ports import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from replicator.ports import ObjectStore

_LOCK_SUFFIX = ".owner"


class NoSpool:
    """`Spools` without a disk: what waits for the store waits in memory."""

    def own(self, archive_id: str, writer: str) -> ObjectStore | None:  # noqa: ARG002 (the port's)
        """Return None."""
        return None

    def left(self, archive_id: str) -> Sequence[ObjectStore]:  # noqa: ARG002
        """Return nothing."""
        return ()

    def release(self) -> None:
        """Do nothing."""


class SpoolFolders:
    """The `Spools` below *root*: ``<archive id>/<writer>/``, and ``<writer>.owner`` beside it.

    The kernel holds a lock on the owner's file as long as its process lives, suspended or not; so what the
    dead have left can be told from what the living will want to tidy up themselves.

    Args:
        root: The spool's directory; it is made when it is needed.
        wrap: Given each folder's store; returns what is used in its place, such as one that encrypts.
    """

    def __init__(self, root: Path, wrap: Callable[[ObjectStore], ObjectStore] = lambda store: store) -> None:
        self._root = root.absolute()
        self._wrap = wrap
        self._locks: dict[Path, int] = {}

    def own(self, archive_id: str, writer: str) -> ObjectStore:
        """Return a folder of *writer*'s own: see `Spools.own`."""
        folder = self._root / archive_id / writer
        try:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock(folder)
        except OSError as error:
            raise explanation(error, self._root, f"{archive_id}/{writer}") from error
        return self._wrap(DirectoryStore(folder))

    def left(self, archive_id: str) -> Sequence[ObjectStore]:
        """Return the folders of all others: see `Spools.left`."""
        home = self._root / archive_id
        try:
            folders = sorted(path for path in home.iterdir() if path.is_dir() and is_name_part(path.name))
            others = [folder for folder in folders if folder not in self._locks]
            stores = [DirectoryStore(path) if self._lock(path) else _LivingFolder(path) for path in others]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise explanation(error, self._root, archive_id) from error
        return [self._wrap(store) for store in stores]

    def release(self) -> None:
        """Give all folders back; the empty ones go."""
        for folder, lock in self._locks.items():
            with suppress(OSError):  # a courtesy: what stays is found at the next start
                _remove_if_empty(folder)
            os.close(lock)
        self._locks.clear()

    def _lock(self, folder: Path) -> bool:
        """Lock *folder* for this process; tell whether nobody else has."""
        if folder in self._locks:
            return True
        path = folder.with_name(folder.name + _LOCK_SUFFIX)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, mode=0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._locks[folder] = lock
        return True


class _LivingFolder(DirectoryStore):
    """The folder of a process that lives: one that is suspended, say, and will find its files again."""

    def delete(self, name: str) -> None:
        """Do nothing."""


def try_spool(root: Path, archive_id: str | None) -> Waiting:
    """Write a file below *root* and remove it; return what waits there for the archive, of all writers.

    Nobody is disturbed: no folder is locked.

    Raises:
        StoreUnavailable: It can't be written to.
    """
    trial = root / f".trial-{uuid4().hex}"
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with trial.open("xb") as file:
            file.write(b"trial\n")
            file.flush()
            os.fsync(file.fileno())
        trial.unlink()
    except OSError as error:
        with suppress(OSError):
            trial.unlink()
        raise explanation(error, root, trial.name) from error
    sizes = list(_sizes(root / archive_id)) if archive_id is not None else []
    return Waiting(len(sizes), sum(sizes))


def _sizes(home: Path) -> Iterator[int]:
    for path in home.rglob("*.jsonl.zst"):
        with suppress(OSError):  # stored this moment
            yield path.stat().st_size


def _remove_if_empty(folder: Path) -> None:
    """Remove *folder* and its lock unless a segment is in it."""
    if any(path.is_file() and path.name != ".lock" for path in folder.rglob("*")):
        return
    if folder.exists():
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()
    folder.with_name(folder.name + _LOCK_SUFFIX).unlink()
