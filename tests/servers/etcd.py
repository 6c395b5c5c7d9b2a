"""Real etcd servers, each with a folder of its own that goes away with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from replicator.adapters.etcd_server import EtcdServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]


def fetched(name: str) -> Path:
    """Return where `tools/fetch` says that *name* is; the first call may need the network."""
    command = [sys.executable, ROOT / "tools/fetch", name]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Path(answer.stdout.strip())


class Etcd(EtcdServer):
    """An etcd with its own client at hand, which shares no code with ours."""

    def ctl(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """Run etcdctl with *arguments* against this server, and return what it prints.

        Raises:
            subprocess.CalledProcessError: etcdctl fails; `stderr` holds its words.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ETCD")}
        command = [self._binary.with_name("etcdctl"), f"--endpoints={self.endpoint}", *arguments]
        answer = subprocess.run(
            command, input=stdin, env=environment, capture_output=True, timeout=60, check=True
        )
        return answer.stdout

    def save(self, path: Path) -> int:
        """Write a snapshot of all that it holds to the file *path*; return its revision."""
        self.ctl("snapshot", "save", str(path))
        command = [self._binary.with_name("etcdutl"), "snapshot", "status", path, "--write-out=json"]
        answer = subprocess.run(command, capture_output=True, timeout=60, check=True)
        return int(json.loads(answer.stdout)["revision"])

    def wipe(self) -> None:
        """Remove its data; the server is stopped."""
        shutil.rmtree(self._folder / "data")

    def restore(self, saved: Path) -> None:
        """Put *saved*, a file of `etcdctl snapshot save`, in the place of its data; the server is stopped."""
        data = self._folder / "data"
        shutil.rmtree(data)
        command = [self._binary.with_name("etcdutl"), "snapshot", "restore", saved, f"--data-dir={data}"]
        subprocess.run(command, capture_output=True, timeout=60, check=True)


@pytest.fixture(scope="session")
def etcd_binary() -> Path:
    """Return an etcd of version 3.5.16 or later, with etcdctl beside it."""
    return fetched("etcd") / "etcd"


@pytest.fixture
def etcd_factory(etcd_binary: Path) -> Iterator[Callable[..., Etcd]]:
    """Return a function from flags of etcd to a running server, fresh and empty; all end with the test.

    Each takes 60 MB on disk (a preallocated log), so nothing is kept for the dead.
    """
    with ExitStack() as running:

        def started(*flags: str) -> Etcd:
            folder = Path(running.enter_context(TemporaryDirectory(prefix="etcd-")))
            return running.enter_context(Etcd(folder, etcd_binary, flags))

        yield started


@pytest.fixture
def etcd(etcd_factory: Callable[..., Etcd]) -> Etcd:
    """Return a fresh and empty server; it doesn't wait for the disk, so no test may crash it and go on."""
    return etcd_factory("--unsafe-no-fsync")
