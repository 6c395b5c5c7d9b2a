"""Ceph's own S3 service, RGW, with real storage behind it: a monitor, an OSD and the gateway, on loopback.

Nobody need be root: there is no authentication within the cluster, whose data lie in a temporary folder.
Neither a manager nor Ceph's Python is needed: the OSD stands in the first map already, and each pool has one
copy and one placement group.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING

import boto3
import pytest
from servers.etcd import fetched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REGION = "us-east-1"
PATIENCE_S = 60

# radosgw would insist on encrypted talk with the monitor, which needs authentication: hence `crc`. A short
# interval of paxos makes a start take 9 s, not 20.
CONF = """\
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon_port}
mon data = {folder}/mon
osd data = {folder}/osd
run dir = {folder}
crash dir = {folder}
admin socket =
log file = {folder}/$name.log
mon cluster log file = {folder}/cluster.log
plugin dir = {libraries}/ceph
erasure code dir = {libraries}/ceph/erasure-code
osd class dir = {libraries}/rados-classes

public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
ms mon client mode = crc
auth cluster required = none
auth service required = none
auth client required = none

paxos propose interval = 0.02
paxos min wait = 0.01
mon allow pool size one = true
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
osd objectstore = bluestore
osd memory target = 1073741824
bluestore block size = 4294967296
rgw thread pool size = 64
"""


class CephFailed(Exception):
    """Ceph did not start; the message holds its last words."""


@dataclass(eq=False)
class Rgw:
    """A running service, and the keys of its only user.

    Args:
        endpoint: Its URL, without a slash at the end; buckets are named in the path.
        access_key: Access key id.
        secret_key: Secret access key.
        launch: Starts the gateway, and returns it when it serves.
        process: The gateway.
    """

    endpoint: str
    access_key: str = "some-id"
    secret_key: str = field(default="some-secret", repr=False)
    launch: Callable[[], subprocess.Popen[bytes]] | None = field(default=None, repr=False)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the gateway, or start it again; it serves when this returns.

        Raises:
            CephFailed: It doesn't.
        """
        assert self.launch is not None
        self.process = self.launch()

    def kill(self) -> None:
        """End the gateway by SIGKILL; what it has stored stays."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def suspend(self) -> None:
        """Freeze the gateway."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def make_bucket(self) -> str:
        """Create a bucket of a fresh name, and return that."""
        bucket = f"test-{uuid.uuid4().hex}"
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )
        client.create_bucket(Bucket=bucket)
        client.close()
        return bucket


class _Ceph:
    """Ceph's programs below *root*, at work in *folder*, which takes the configuration and all they write."""

    def __init__(self, root: Path, folder: Path) -> None:
        libraries = next(root.glob("usr/lib/*/rados-classes")).parent
        paths = (libraries, libraries / "ceph", root / "lib" / libraries.name)
        self._programs = root / "usr/bin"
        self._environment = {"LD_LIBRARY_PATH": ":".join(map(str, paths)), "HOME": str(folder)}
        self.folder = folder
        self.fsid = str(uuid.uuid4())
        self.mon_port = _free_port()
        (folder / "mon").mkdir()
        (folder / "osd").mkdir()
        self._conf = folder / "ceph.conf"
        self._conf.write_text(
            CONF.format(fsid=self.fsid, mon_port=self.mon_port, folder=folder, libraries=libraries)
        )

    def run(self, program: str, *arguments: object) -> None:
        """Run *program* to its end.

        Raises:
            CephFailed: It fails, or takes longer than a minute.
        """
        with self._output(program).open("ab") as output:
            process = self._start(program, arguments, output)
            try:
                code = process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
        if code != 0:
            raise self.failure(program)

    @contextmanager
    def running(self, program: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
        """Run *program* until the block ends, and then kill it: its data are thrown away."""
        with self._output(program).open("ab") as output:
            process = self._start(program, ("--foreground", *arguments), output)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def failure(self, program: str) -> CephFailed:
        """Return the failure of *program*, with the ends of all that was said."""
        files = (*self.folder.glob("*.out"), *self.folder.glob("*.log"))
        ends = [f"{file.name}:\n{file.read_text(errors='replace')[-1500:]}" for file in files]
        return CephFailed("\n\n".join([f"{program} failed", *ends]))

    def _start(
        self, program: str, arguments: tuple[object, ...], output: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Start *program*; where util-linux is at hand, it ends with the thread that has started it."""
        launcher = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        return subprocess.Popen(
            [*launcher, self._programs / program, "--conf", self._conf, *map(str, arguments)],
            env=os.environ | self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )

    def _output(self, program: str) -> Path:
        return self.folder / f"{program}.out"


@contextmanager
def running_ceph(root: Path) -> Iterator[Rgw]:
    """Start the Ceph below *root*, and serve until the block ends.

    Raises:
        CephFailed: It doesn't start.
    """
    with ExitStack() as stack:
        ceph = _Ceph(root, Path(stack.enter_context(TemporaryDirectory(prefix="ceph-"))))
        folder = ceph.folder
        address = f"[v2:127.0.0.1:{ceph.mon_port}]"
        ceph.run("monmaptool", "--create", "--fsid", ceph.fsid, "--addv", "a", address, folder / "monmap")
        ceph.run("osdmaptool", "--createsimple", 1, folder / "osdmap")
        maps = ("--monmap", folder / "monmap", "--osdmap", folder / "osdmap")
        ceph.run("ceph-mon", "--id", "a", "--mkfs", *maps)
        stack.enter_context(ceph.running("ceph-mon", "--id", "a"))
        ceph.run("ceph-osd", "--id", 0, "--mkfs", "--osd-uuid", uuid.uuid4())
        stack.enter_context(ceph.running("ceph-osd", "--id", 0))
        rgw = Rgw(f"http://127.0.0.1:{_free_port()}")
        keys = ("--access-key", rgw.access_key, "--secret-key", rgw.secret_key)
        ceph.run("radosgw-admin", "user", "create", "--uid", "some", "--display-name", "some", *keys)
        frontend = f"beast endpoint={rgw.endpoint.removeprefix('http://')} tcp_nodelay=1"

        def launch() -> subprocess.Popen[bytes]:
            gateway = ceph.running("radosgw", "--name", "client.rgw", "--rgw-frontends", frontend)
            process = stack.enter_context(gateway)
            _wait_for(rgw, process, ceph)
            return process

        rgw.launch = launch
        rgw.start()
        yield rgw


def _wait_for(rgw: Rgw, process: subprocess.Popen[bytes], ceph: _Ceph) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not _answers(rgw):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ceph.failure("radosgw")
        time.sleep(0.05)


def _answers(rgw: Rgw) -> bool:
    try:
        with urllib.request.urlopen(rgw.endpoint, timeout=5) as answer:  # noqa: S310 (http)
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def rgw() -> Iterator[Rgw]:
    """Return a service that all tests of a session share."""
    with running_ceph(fetched("ceph")) as server:
        yield server
