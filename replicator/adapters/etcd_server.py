"""A throw-away etcd on this machine: one node, on loopback, in a folder of its own.

For `replicator demo`, the tests and the benchmarks. A gateway's real etcd is never started from here.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Self

from replicator.errors import SourceUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

OLDEST = (3, 5, 16)  # before it watches lose events (etcd#17529) and lie about their progress (etcd#15220)

_HINT = "run `tools/fetch etcd`, install etcd 3.5.16 or later, or set REPLICATOR_ETCD to the binary"
_READY = b"ready to serve client requests"
_POLL_SECONDS = 0.02
_READY_POLLS = 1500
_STOP_SECONDS = 10


def cache_folder() -> Path:
    """Return the folder where `tools/fetch` keeps what it fetched; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "replicator"


def installed_etcd() -> Path | None:
    """Return $REPLICATOR_ETCD, else the `etcd` on PATH if its version is 3.5.16 or later, else None.

    Raises:
        UsageError: $REPLICATOR_ETCD is set and names something else than such an etcd.
    """
    chosen = os.environ.get("REPLICATOR_ETCD")
    found = chosen or shutil.which("etcd")
    if found and is_recent(Path(found)):
        return Path(found)
    if chosen:
        raise UsageError(f"REPLICATOR_ETCD: {chosen} is no etcd of version 3.5.16 or later", hint=_HINT)
    return None


def find_etcd() -> Path:
    """Return the `etcd` to start: an installed one, else the one that `tools/fetch` has put into the cache.

    Raises:
        UsageError: There is neither, or $REPLICATOR_ETCD names something else.
    """
    fetched = cache_folder() / "etcd/usr/bin/etcd"
    etcd = installed_etcd() or (fetched if is_recent(fetched) else None)
    if etcd is None:
        raise UsageError("no etcd of version 3.5.16 or later on this machine", hint=_HINT)
    return etcd


def is_recent(binary: Path) -> bool:
    """Tell whether *binary* runs and calls itself an etcd of version 3.5.16 or later."""
    command = [str(binary), "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.search(r"^etcd Version: (\d+)\.(\d+)\.(\d+)", answer.stdout)
    return version is not None and tuple(map(int, version.groups())) >= OLDEST


class EtcdServer:
    """One etcd process: ready when the `with` block begins, gone when it ends.

    It serves clients at `endpoint`, which stays the same over every restart. It is in a process group of
    its own, so that a terminal's Ctrl-C reaches only us, and where util-linux's `setpriv` is at hand the
    kernel kills it as soon as the *thread* that started it ends, however that happens: no orphans, but
    start it from a thread that lives as long.

    Args:
        folder: Holds the data and the server's log; made if absent, never removed.
        binary: The etcd to run.
        flags: More of etcd's own command-line flags.
    """

    def __init__(self, folder: Path, binary: Path, flags: Sequence[str] = ()) -> None:
        self._folder = folder
        self._binary = binary
        self._flags = tuple(flags)
        self._port = _free_port()
        self._started = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The URL for clients."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> Path:
        """The file that holds what the server has said since its last start."""
        return self._folder / "etcd.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server on whatever its folder holds, and return when it answers.

        Raises:
            SourceUnavailable: It didn't start; the end of its log is in the message.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        while not self._becomes_ready(self._spawn()):
            self.kill()
            why = self._complaint()
            if self._started or "address already in use" not in why:
                raise SourceUnavailable(f"etcd did not start: {why}", hint=f"its log is {self.log}")
            self._port = _free_port()  # lost a race for it; nobody knows the old one yet
        self._started = True

    def stop(self) -> None:
        """End the server in an orderly way, or by force if it takes over 10 s. No error if it has ended."""
        if self._process is None:
            return
        self._process.terminate()
        self.resume()  # a suspended process would never see the signal
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the server by SIGKILL, as a crash would. No error if it has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same data and the same endpoint."""
        self.stop()
        self.start()

    def suspend(self) -> None:
        """Freeze the server by SIGSTOP: connections stay open and nothing answers, as in a partition."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:  # a thread of it may go on for a moment
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a suspended server go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _spawn(self) -> subprocess.Popen[bytes]:
        flags = {
            "data-dir": self._folder / "data",
            "listen-client-urls": self.endpoint,
            "advertise-client-urls": self.endpoint,
            # What it advertises to peers stays etcd's default: a single node never dials itself.
            "listen-peer-urls": f"http://127.0.0.1:{_free_port()}",
            # A node without peers elects itself, but only when this has passed: a second by default.
            "heartbeat-interval": 10,
            "election-timeout": 100,
        }
        launcher = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        command = [*launcher, str(self._binary), *(f"--{name}={value}" for name, value in flags.items())]
        # A variable beside a flag keeps etcd from starting; the user's are meant for another etcd.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *self._flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                process_group=0,
            )
        return self._process

    def _becomes_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Poll until the server answers that it is well (True), or has ended or takes too long (False)."""
        for _ in range(_READY_POLLS):
            if self._is_healthy() and _READY in self.log.read_bytes():
                return True  # the health alone could be that of a server that has won our port
            try:
                process.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            return False
        return False

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=1)
        try:
            connection.request("GET", "/health")
            return bool(json.load(connection.getresponse())["health"] == "true")
        except (OSError, ValueError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _complaint(self) -> str:
        """Return what the log gives as the last error, else its first line."""
        log = self.log.read_text(errors="replace")
        errors = re.findall(r'"error":("(?:[^"\\]|\\.)*")', log)
        return json.loads(errors[-1]) if errors else log.partition("\n")[0] or "it said nothing"


def _free_port() -> int:
    """Pick a free port below the range from which the kernel gives ports to outgoing connections.

    While the server is down, nothing can then take its port by chance, not even a client that dials it.
    The choice is the system's: hypothesis seeds the generator of `random` alike in every process.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
