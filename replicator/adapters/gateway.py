"""The gateway beside the agent: its files, the command that reloads it, and whether it is ready."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from replicator.adapters.clock import SystemClock
from replicator.adapters.output_file import write_file
from replicator.errors import GatewayFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_POLL_S = 0.5
_TOLD_BYTES = 400
_OK = 200

# A file that is mounted by itself can't be renamed over; nor can one in a folder that only root may write to.
_NO_RENAME = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)


class ResourceFile:
    """The standalone file, as a `Target`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def digest(self) -> str:
        """Return the SHA-256 of the file: see `Target.digest`."""
        try:
            return hashlib.sha256(self._path.read_bytes()).hexdigest()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise UsageError(
                f"can't read {self._path}: {error.strerror}", hint="see agent.resource_file"
            ) from None

    def put(self, chunks: Sequence[bytes]) -> None:
        """Replace the file, with a later mtime: see `Target.put`."""
        write_file(self._path, chunks, SystemClock())


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """How the gateway is reached.

    Attributes:
        config_file: Its config.yaml.
        reload: The command that makes it read that anew.
        reload_timeout_s: For how long that may run.
        ready: URL that answers 200 once it has its configuration; empty if there is none.
        ready_timeout_s: For how long that may take.
    """

    config_file: Path
    reload: tuple[str, ...]
    reload_timeout_s: float
    ready: str
    ready_timeout_s: float


class LocalGateway:
    """The gateway on this machine. Any method but `config` may raise GatewayFailed.

    Args:
        options: How it is reached.
        is_ending: Tells that nobody wants to wait any more.
    """

    def __init__(self, options: GatewayOptions, is_ending: Callable[[], bool] = lambda: False) -> None:
        self._options = options
        self._is_ending = is_ending

    def config(self) -> bytes:
        """Return the bytes of its config.yaml.

        Raises:
            UsageError: It can't be read.
        """
        path = self._options.config_file
        try:
            return path.read_bytes()
        except OSError as error:
            raise UsageError(
                f"can't read the gateway's {path}: {error.strerror}", hint="see agent.config_file"
            ) from None

    def replace_config(self, body: bytes) -> None:
        """Put *body* in the place of config.yaml, with the mode and owner of what is there; durable."""
        path = Path(os.path.realpath(self._options.config_file))
        try:
            _replace(path, body)
        except OSError as error:
            raise GatewayFailed(
                f"can't write the gateway's {path}: {error.strerror}",
                hint="the agent must be able to write to it and to its folder",
            ) from None

    def reload(self) -> None:
        """Run the reload command to its end."""
        command, timeout_s = self._options.reload, self._options.reload_timeout_s
        with tempfile.TemporaryFile() as output:
            try:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
            except OSError as error:
                raise GatewayFailed(
                    f"the reload command can't be started: {command[0]}: {error.strerror}",
                    hint="see agent.reload",
                ) from None
            try:
                code = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                _end(process)
                raise GatewayFailed(
                    f"the reload command took longer than {timeout_s:g} s, and was killed",
                    hint="see agent.reload_timeout",
                ) from None
            if code:
                raise GatewayFailed(
                    f"the reload command ended with {code}: {_tail(output)}",
                    hint="see the gateway's error.log",
                )

    def await_ready(self) -> None:
        """Wait until the gateway says that it has its configuration."""
        if not self._options.ready:
            return
        clock = SystemClock()
        deadline, said = clock.monotonic() + self._options.ready_timeout_s, ""
        while clock.monotonic() < deadline and not self._is_ending():
            said = self._answer()
            if not said:
                return
            clock.sleep(_POLL_S)
        raise GatewayFailed(
            f"the gateway wasn't ready within {self._options.ready_timeout_s:g} s: {said}",
            hint="see the gateway's error.log",
        )

    def _answer(self) -> str:
        """Return what is wrong with the gateway's answer; nothing if it is ready."""
        try:
            with urllib.request.urlopen(self._options.ready, timeout=_POLL_S * 4) as answer:  # noqa: S310 (http)
                return "" if answer.status == _OK else f"it answered {answer.status}"
        except urllib.error.HTTPError as error:
            return f"it answered {error.code}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            return f"it didn't answer: {error}"


def _replace(path: Path, body: bytes) -> None:
    before = path.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=_scratch(path))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            os.fchmod(file.fileno(), before.st_mode & 0o7777)
            with suppress(PermissionError):  # whoever isn't root keeps its own
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            file.flush()
            os.fsync(file.fileno())
        try:
            Path(name).rename(path)
        except OSError as error:
            if error.errno not in _NO_RENAME:
                raise
            _overwrite(path, body)
    finally:
        Path(name).unlink(missing_ok=True)
    with suppress(OSError):
        _sync_folder(path.parent)


def _scratch(path: Path) -> Path | None:
    """Return the folder for a scratch file: the file's own if it may be written to."""
    return path.parent if os.access(path.parent, os.W_OK) else None


def _overwrite(path: Path, body: bytes) -> None:
    with path.open("r+b") as file:
        file.write(body)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(output: IO[bytes]) -> str:
    output.seek(0, os.SEEK_END)
    output.seek(max(0, output.tell() - _TOLD_BYTES))
    text = output.read().decode(errors="replace").strip()
    return (
        " ".join("".join(char if char.isprintable() else " " for char in text).split()) or "it said nothing"
    )
