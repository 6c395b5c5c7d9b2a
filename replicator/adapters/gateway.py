"""The gateway beside the agent: its files, the command that reloads it, and whether it is ready."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import shutil
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from replicator.adapters.clock import SystemClock
from replicator.adapters.files import sync_directory
from replicator.adapters.output_file import write_file
from replicator.errors import GatewayFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from io import BufferedReader

# `apisix reload` says so where nginx refuses the new configuration: it reloads nothing, and ends with 0.
_REFUSED = "test openresty failed"

_POLL_S = 0.5
_TOLD_BYTES = 400
_OK = 200

# The gateway is asked directly, whatever proxy the environment names.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

# A file that is mounted by itself can't be renamed over (EBUSY); and only root can give a new one to the
# owner of the old (EPERM).
_NO_RENAME = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM)


class ResourceFile:
    """The standalone file, as a `Target`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[tuple[int, ...], str] = ((), "")

    def digest(self) -> str:
        """Return the SHA-256 of the file, which is read if it looks like another one: `Target.digest`."""
        try:
            status = self._path.stat()
            looks = status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
            if looks != self._seen[0]:
                self._seen = looks, hashlib.sha256(self._path.read_bytes()).hexdigest()
            return self._seen[1]
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise UsageError(
                f"can't read {self._path}: {error.strerror}", hint="see agent.resource_file"
            ) from None

    def put(self, chunks: Sequence[bytes]) -> None:
        """Replace the file, with a later mtime, and the mode and owner that it had: see `Target.put`."""
        write_file(self._path, chunks, SystemClock(), keeps_access=True)


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
        """Run the reload command to its end; kill it, and what it has started, if that takes too long."""
        command, timeout_s = self._options.reload, self._options.reload_timeout_s
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise GatewayFailed(
                f"the reload command can't be started: {command[0]}: {error.strerror}",
                hint="see agent.reload",
            ) from None
        said = _Listener(process)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            _end(process)
            raise GatewayFailed(
                f"the reload command took longer than {timeout_s:g} s, and was killed: {said.tail()}",
                hint="see agent.reload_timeout",
            ) from None
        if code:
            raise GatewayFailed(
                f"the reload command ended with {code}: {said.tail()}", hint="see the gateway's error.log"
            )
        if _REFUSED in said.tail():
            raise GatewayFailed(
                f"nothing was reloaded: {said.tail()}", hint="openresty -t in the gateway's folder says why"
            )

    def await_ready(self) -> bool:
        """Wait until it says that it has its configuration; False if nobody wants to wait any more."""
        if not self._options.ready:
            return True
        clock = SystemClock()
        deadline, said = clock.monotonic() + self._options.ready_timeout_s, "it wasn't asked"
        while clock.monotonic() < deadline:
            if self._is_ending():
                return False
            said = self._answer()
            if not said:
                return True
            clock.sleep(_POLL_S)
        raise GatewayFailed(
            f"the gateway wasn't ready within {self._options.ready_timeout_s:g} s: {said}",
            hint="see the gateway's error.log",
        )

    def trial(self) -> None:
        """Look whether config.yaml can be replaced, and whether there is a reload command."""
        path = Path(os.path.realpath(self._options.config_file))
        if not os.access(path, os.W_OK) and not os.access(path.parent, os.W_OK):
            raise UsageError(
                f"the gateway's {path} can't be replaced: neither it nor its folder can be written to",
                hint="run the agent as a user who may; a ConfigMap is read-only: copy it to a volume first",
            )
        command = self._options.reload
        if command and shutil.which(command[0]) is None:
            raise UsageError(f"there is no reload command {command[0]}", hint="see agent.reload")

    def _answer(self) -> str:
        """Return what is wrong with the gateway's answer; nothing if it is ready."""
        try:
            with _OPENER.open(self._options.ready, timeout=_POLL_S * 4) as answer:
                return "" if answer.status == _OK else f"it answered {answer.status}"
        except urllib.error.HTTPError as error:
            return f"it answered {error.code}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            return f"it didn't answer: {error}"


def _replace(path: Path, body: bytes) -> None:
    """Rename a new file over *path*, or write into it where that can't be, or would change its owner."""
    if not os.access(path.parent, os.W_OK):
        _overwrite(path, body)
        return
    scratch = path.with_name(f".{path.name}.replicator")  # what a kill leaves there, the next switch removes
    scratch.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600), "wb") as file:
            file.write(body)
            before = path.stat()
            os.fchown(file.fileno(), before.st_uid, before.st_gid)
            shutil.copystat(path, scratch)  # mode, and extended attributes such as SELinux's
            os.utime(file.fileno())
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(path)
    except OSError as error:
        if error.errno not in _NO_RENAME:
            raise
        _overwrite(path, body)
    finally:
        scratch.unlink(missing_ok=True)
    with suppress(OSError):
        sync_directory(path.parent)


def _overwrite(path: Path, body: bytes) -> None:
    with path.open("r+b") as file:
        file.write(body)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Listener(threading.Thread):
    """Keeps the end of what a command says; it must be read, or the command would wait."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(name="reload", daemon=True)
        self._stream = cast("BufferedReader", process.stdout)
        self._end = b""
        self.start()

    def run(self) -> None:
        """Read until nobody can say any more."""
        with self._stream as stream:
            while chunk := stream.read1(_TOLD_BYTES):
                self._end = (self._end + chunk)[-_TOLD_BYTES:]

    def tail(self) -> str:
        """Return the end on one line; what the command has left running may go on to speak, unheard."""
        self.join(_POLL_S)
        text = "".join(char if char.isprintable() else " " for char in self._end.decode(errors="replace"))
        return " ".join(text.split()) or "it said nothing"
