"""The agent's own folder: its small files, and the lock that keeps a second agent out."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from replicator.adapters.clock import SystemClock
from replicator.adapters.output_file import write_file
from replicator.errors import UsageError, WriterFenced

if TYPE_CHECKING:
    from pathlib import Path

_LOCK = "lock"
_HINT = "agent.home must be a directory on local disk that this user may write to"


class AgentHome:
    """The `Home` in *folder*, which is made when it is needed, mode 0700."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: int | None = None

    def lock(self) -> None:
        """Take the folder for this process, until that ends.

        Raises:
            WriterFenced: Another agent has it.
            UsageError: It can't be made, or written to.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode=0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.unlock()
            raise WriterFenced(
                f"another agent is at work in {self._folder}",
                hint="replicator agent status tells what it does",
            ) from None
        except OSError as error:
            raise UsageError(f"agent.home {self._folder}: {error.strerror}", hint=_HINT) from None

    def unlock(self) -> None:
        """Give the folder back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def read(self, name: str) -> bytes | None:
        """Return the file's bytes; None if there is none: see `Home.read`."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"can't read {self._folder / name}: {error.strerror}", hint=_HINT) from None

    def write(self, name: str, body: bytes) -> None:
        """Put *body* in the file's place: see `Home.write`."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"agent.home {self._folder}: {error.strerror}", hint=_HINT) from None
        write_file(self._folder / name, [body], SystemClock())

    def remove(self, name: str) -> None:
        """Remove the file: see `Home.remove`."""
        with suppress(OSError):
            (self._folder / name).unlink()
