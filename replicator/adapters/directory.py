"""An archive in a directory: the embedded default.

What ``If-None-Match: *`` does on S3, a hard link does here: `link` fails when the name is taken, and what it
makes visible has been written and synced before.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from replicator.adapters import files
from replicator.adapters.clock import SystemClock
from replicator.adapters.files import Place
from replicator.adapters.object_names import check_name, is_name_part, longest_bytes, too_long
from replicator.errors import ObjectChanged, ObjectExists, ObjectMissing, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from replicator.ports import Clock

_TEMPORARIES = ".tmp"
_LOCK = ".lock"
_ABANDONED_AFTER_SECONDS = 86_400
_LOCK_POLL_SECONDS = 0.005
_LOCK_PATIENCE_SECONDS = 10.0


class DirectoryStore:
    """The `ObjectStore` below *root*, for any number of threads and processes.

    A *root* that isn't there is an empty store: reading creates nothing, the first write makes it.
    Directories are 0700 and files 0600, since an archive holds private keys. Paths are opened one part at a
    time, and a symbolic link below *root* is refused: no name leads out.

    Args:
        root: The archive's directory.
        clock: Bounds the wait for another's compare-and-set.
    """

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self._root = root.absolute()
        self._clock = clock or SystemClock()
        self._durable: set[tuple[str, ...]] = set()
        self._swept = False

    def __str__(self) -> str:
        return f"file://{self._root}"

    def create(self, name: str, body: bytes) -> None:
        """Store *body* under *name*, once: see `ObjectStore.create`."""
        with (
            self._explained(name),
            self._place(name, make=True) as place,
            self._temporary(body) as temporary,
        ):
            try:
                files.link(temporary, place)
            except FileExistsError:
                if files.read(place) != body:
                    raise ObjectExists(name) from None
            os.fsync(place.directory)  # for a twin as well: who linked it may have died before this

    def get(self, name: str) -> bytes:
        """Return the whole object: see `ObjectStore.get`."""
        with self._explained(name):
            try:
                with self._place(name) as place:
                    body = files.read(place, longest_bytes(name))
            except FileNotFoundError:
                raise ObjectMissing(name) from None
        if body is None:
            raise too_long(name)
        return body

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield names in byte order: see `ObjectStore.names`. A directory is read when its turn comes."""
        with self._explained(prefix):
            yield from self._walk((), prefix, after)

    def delete(self, name: str) -> None:
        """Remove the object, if there is one. In a missing root nothing is made."""
        with self._explained(name), suppress(FileNotFoundError), self._place(name) as place, self._locked():
            os.unlink(place.leaf, dir_fd=place.directory)
            os.fsync(place.directory)

    def replace(self, name: str, old: bytes | None, new: bytes) -> None:
        """Swap *old* for *new*: see `ObjectStore.replace`. They take turns on one lock file."""
        with (
            self._explained(name),
            self._place(name, make=True) as place,
            self._temporary(new) as temporary,
            self._locked(),
        ):
            try:
                _swap(temporary, place, old)
            except (FileExistsError, FileNotFoundError, ObjectChanged):
                raise ObjectChanged(name) from None
            os.fsync(place.directory)

    @contextmanager
    def _place(self, name: str, *, make: bool = False) -> Iterator[Place]:
        *parents, leaf = check_name(name).split("/")
        with self._directory(tuple(parents), make=make) as directory:
            yield Place(directory, leaf)

    @contextmanager
    def _directory(self, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
        """Open the directory at *parts*, one step at a time: a path in one piece would follow links."""
        if make:
            self._make_root()
        directory = files.open_directory(self._root)
        try:
            for depth, part in enumerate(parts, start=1):
                if make:
                    self._make(directory, parts[:depth])
                above, directory = directory, files.open_below(directory, part)
                os.close(above)
            yield directory
        finally:
            os.close(directory)

    def _make_root(self) -> None:
        if () in self._durable:
            return
        missing = [path for path in (self._root, *self._root.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
            files.sync_directory(path.parent)
        self._durable.add(())

    def _make(self, above: int, parts: tuple[str, ...]) -> None:
        """Make the directory at *parts*; sync the one *above* even if another made it, who may have died."""
        if parts in self._durable:
            return
        with suppress(FileExistsError):
            os.mkdir(parts[-1], mode=0o700, dir_fd=above)
        os.fsync(above)
        self._durable.add(parts)

    @contextmanager
    def _temporary(self, body: bytes) -> Iterator[Place]:
        """Write and sync *body* under a name that nobody sees; what is left of it goes with the context."""
        with self._directory((_TEMPORARIES,), make=True) as directory:
            place = Place(directory, secrets.token_hex(16))
            try:
                self._sweep(directory, now=files.write_new(place, body))
                yield place
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(place.leaf, dir_fd=directory)

    def _sweep(self, directory: int, now: float) -> None:
        """Remove, once, what dead writers left. *now* is a new file's mtime: one clock judges them all."""
        if self._swept:
            return
        self._swept = True
        for leaf in os.listdir(directory):
            with suppress(OSError):  # a courtesy: no reason to fail
                if os.stat(leaf, dir_fd=directory).st_mtime < now - _ABANDONED_AFTER_SECONDS:
                    os.unlink(leaf, dir_fd=directory)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the archive's one lock; the kernel frees it with its process, so the dead block nobody."""
        lock = os.open(self._root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, mode=0o600)
        try:
            self._wait_for(lock)
            yield
        finally:
            os.close(lock)

    def _wait_for(self, lock: int) -> None:
        """Poll rather than block: the holder may be suspended, and a takeover must not hang with it."""
        deadline = self._clock.monotonic() + _LOCK_PATIENCE_SECONDS
        while not _try_lock(lock):
            if self._clock.monotonic() >= deadline:
                raise StoreUnavailable(
                    f"{self._root / _LOCK}: held by another process for {_LOCK_PATIENCE_SECONDS:.0f} s",
                    hint=f"look for a suspended replicator on {self._root}",
                )
            self._clock.sleep(_LOCK_POLL_SECONDS)

    def _walk(self, parts: tuple[str, ...], prefix: str, after: str) -> Iterator[str]:
        folder = "".join(f"{part}/" for part in parts)
        for entry in self._entries(parts):
            name = folder + entry
            if not entry.endswith("/"):
                if name.startswith(prefix) and name > after:
                    yield name
            elif _may_hold(name, prefix, after):
                yield from self._walk((*parts, entry[:-1]), prefix, after)

    def _entries(self, parts: tuple[str, ...]) -> list[str]:
        """List a directory in the order of whole names: ``a/`` sorts after ``a-b``, which ``a`` would not."""
        try:
            with self._directory(parts) as directory, os.scandir(directory) as entries:
                return sorted(_entry(entry) for entry in entries if is_name_part(entry.name))
        except FileNotFoundError:
            return []

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise files.explanation(error, self._root, name) from error


def _swap(temporary: Place, place: Place, old: bytes | None) -> None:
    """Put *temporary* in *place* of *old*; without one by a link, since `create` holds no lock."""
    if old is None:
        files.link(temporary, place)
    elif files.read(place) == old:
        files.move(temporary, place)
    else:
        raise ObjectChanged


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _entry(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():  # passed over in silence, a linked epoch would look like a lost one
        raise OSError(errno.ELOOP, f"{entry.name} is a symbolic link")
    return f"{entry.name}/" if entry.is_dir() else entry.name


def _may_hold(folder: str, prefix: str, after: str) -> bool:
    """Tell whether a name that begins with *folder* can begin with *prefix* and sort after *after*."""
    in_prefix = folder.startswith(prefix) or prefix.startswith(folder)
    return in_prefix and (folder > after or after.startswith(folder))
