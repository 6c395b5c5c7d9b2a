"""A real cluster of three etcd servers on loopback: each can be killed, suspended and brought back."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from servers.command import until
from servers.etcd import Etcd

from replicator.adapters.etcd_server import _free_port
from replicator.errors import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = ("m1", "m2", "m3")


class Member(Etcd):
    """One of the servers. None is ready without a quorum: so `launch` all first, and `await_ready` later."""

    def launch(self) -> None:
        """Start it on whatever its folder holds."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._spawn()

    def await_ready(self) -> None:
        """Wait until it serves.

        Raises:
            SourceUnavailable: It has ended, or takes too long.
        """
        assert self._process is not None
        if not self._becomes_ready(self._process):
            raise SourceUnavailable(f"etcd did not start: {self._complaint()}")
        self._started = True

    def says(self) -> dict[str, int]:
        """Return what it tells of itself: `member_id`, and `leader` as it knows it (0 for none)."""
        ((answer,),) = [json.loads(self.ctl("endpoint", "status", "--write-out=json"))]
        return {
            "member_id": answer["Status"]["header"]["member_id"],
            "leader": answer["Status"].get("leader", 0),
        }


class Cluster:
    """Three members, by their number in *members*; for use in a `with` block, at whose end all are gone.

    Members are suspended and killed one by one; what is done to whom is the test's to know.
    """

    def __init__(self, folder: Path, binary: Path) -> None:
        peers = {name: f"http://127.0.0.1:{_free_port()}" for name in _NAMES}
        flags = [
            f"--initial-cluster={','.join(f'{name}={url}' for name, url in peers.items())}",
            "--initial-cluster-state=new",
            "--heartbeat-interval=50",
            "--election-timeout=500",
        ]
        self.members = [
            Member(
                folder / name,
                binary,
                [
                    f"--name={name}",
                    f"--listen-peer-urls={url}",
                    f"--initial-advertise-peer-urls={url}",
                    *flags,
                ],
            )
            for name, url in peers.items()
        ]

    @property
    def endpoints(self) -> list[str]:
        """The URLs for clients, in the order of the members."""
        return [member.endpoint for member in self.members]

    def start(self) -> None:
        """Start all, and return when they have a leader and serve."""
        for member in self.members:
            member.launch()
        for member in self.members:
            member.await_ready()

    def stop(self) -> None:
        """End all, suspended ones too."""
        for member in self.members:
            member.kill()

    def leader(self, among: list[Member] | None = None) -> Member:
        """Return the member that leads, as soon as there is one that *among* (by default all) agree on."""
        asked = among or self.members
        found: list[Member] = []

        def agreed() -> bool:
            said = {member.says()["leader"] for member in asked}
            found[:] = [member for member in asked if said == {member.says()["member_id"]}]
            return len(found) == 1

        until(agreed, "the members agree on a leader")
        return found[0]

    def others(self, *these: Member) -> list[Member]:
        """Return the members beside *these*."""
        return [member for member in self.members if member not in these]


@contextmanager
def cluster_of(binary: Path) -> Iterator[Cluster]:
    """Run a cluster for the time of the block."""
    with TemporaryDirectory(prefix="etcd-cluster-") as folder:
        cluster = Cluster(Path(folder), binary)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture
def etcd_cluster(etcd_binary: Path) -> Iterator[Cluster]:
    """Return a fresh cluster with a leader."""
    with cluster_of(etcd_binary) as cluster:
        yield cluster
