"""Wake whoever waits for files as soon as something happens in a folder that leads to one of them.

A courtesy: a network file system tells of nothing that others do, and the kernel watches only so many
folders. So whoever waits looks from time to time as well.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchdog.observers.api import BaseObserver, ObservedWatch

_LONGEST_CHAIN = 40  # of symbolic links, as the kernel has it
_OURS = {"opened", "closed_no_write"}  # reading a file is such an event too, and we read


class Wake(FileSystemEventHandler):
    """Tells of changes around *paths*. `wait` and `close` belong to one thread, `nudge` to any."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = tuple(paths)
        self._stirred = threading.Event()
        self._observer: BaseObserver | None = None
        self._watched: dict[Path, tuple[int, ObservedWatch]] = {}

    def wait(self, seconds: float) -> None:
        """Return when something has happened since the last call, or after *seconds*."""
        self._follow()
        self._stirred.wait(seconds)
        self._stirred.clear()

    def nudge(self) -> None:
        """Let `wait` return."""
        self._stirred.set()

    def close(self) -> None:
        """Watch nothing any more."""
        observer, self._observer, self._watched = self._observer, None, {}
        if observer is not None:
            observer.stop()
            with suppress(RuntimeError):  # it was never started
                observer.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Take note of what watchdog tells."""
        if event.event_type not in _OURS:
            self._stirred.set()

    def _follow(self) -> None:
        """Watch the folders that matter now: a link may lead elsewhere since, and a folder be another one."""
        with suppress(OSError):  # the kernel's limits
            if self._observer is None:
                observer = Observer()
                observer.start()
                self._observer = observer
            wanted = {folder: _inode(folder) for path in self._paths for folder in folders_of(path)}
            for folder, (inode, watch) in list(self._watched.items()):
                if wanted.get(folder) != inode:
                    del self._watched[folder]
                    self._observer.unschedule(watch)
            for folder, inode in wanted.items():
                if inode and folder not in self._watched:
                    self._watched[folder] = inode, self._observer.schedule(self, str(folder))


def folders_of(path: str) -> set[Path]:
    """Return each folder with an entry that decides what *path* leads to: its own, and those of links."""
    folders: set[Path] = set()
    here, rest = Path("/"), deque(PurePosixPath(path).parts[1:])
    for _ in range(_LONGEST_CHAIN * len(rest)):
        if not rest:
            break
        part = rest.popleft()
        entry = here.parent if part == ".." else here / part
        try:
            target = entry.readlink()
        except OSError:
            if not rest:
                folders.add(here)
            here = entry
            continue
        folders.add(here)
        if target.is_absolute():
            here = Path("/")
        rest.extendleft(reversed(target.parts[1:] if target.is_absolute() else target.parts))
    return folders


def _inode(folder: Path) -> int:
    """Return the folder's inode; 0 if there is none that could be watched."""
    try:
        return folder.stat().st_ino if folder.is_dir() else 0
    except OSError:
        return 0
