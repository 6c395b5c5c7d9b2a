"""A recorder on three real etcd servers, of which some die or freeze: told in time, and nothing lost."""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from etcd_oracle import held
from servers.command import running, until
from servers.etcd_json import EtcdJson

from replicator.adapters.directory import DirectoryStore
from replicator.core.plan import AtRevision
from replicator.flows.open_archive import open_archive
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers.command import Recorder
    from servers.etcd_cluster import Cluster, Member

PREFIX = b"/apisix"

# What etcd answers to a writer while there is no leader; the write may have been made all the same.
_PASSING = ("timed out", "no leader", "leader changed", "stopped")


class Writer:
    """Changes keys over one member, all the time; *done* counts what was acknowledged."""

    def __init__(self, endpoint: str) -> None:
        self.done = 0
        self.failure: BaseException | None = None
        self._endpoint = endpoint
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def writes(self, count: int = 20) -> None:
        """Wait until it has written so many more."""
        goal = self.done + count
        until(lambda: self.failure is not None or self.done >= goal, f"{count} writes")
        assert self.failure is None

    def stop(self) -> None:
        """Let it end."""
        self._stopping.set()
        self._thread.join()
        assert self.failure is None, self.failure

    def _run(self) -> None:
        try:
            self._write()
        except BaseException as failure:  # noqa: BLE001 (the result)
            self.failure = failure

    def _write(self) -> None:
        chance = random.Random(3)
        with EtcdJson(self._endpoint) as etcd:
            while not self._stopping.wait(chance.expovariate(30)):
                key = b"/apisix/%d" % chance.randrange(9)
                try:
                    etcd.delete(key) if chance.random() < 0.2 else etcd.put(key, chance.randbytes(200))
                except AssertionError as refused:
                    if not any(words in str(refused) for words in _PASSING):
                        raise
                else:
                    self.done += 1


@contextmanager
def recording(
    cluster: Cluster, first: Member, writer_over: Member, folder: Path
) -> Iterator[tuple[Recorder, Writer]]:
    """Record the cluster, over *first* as long as that answers; then compare every revision with etcd's."""
    endpoints = [first.endpoint, *(member.endpoint for member in cluster.others(first))]
    settings = folder / "replicator.yaml"
    settings.write_text(
        f"etcd: {{endpoints: {endpoints}}}\n"
        f"archive: file://{folder}/archive\n"
        "capture: {flush_interval: 20ms}\n"
    )
    with EtcdJson(writer_over.endpoint) as client:
        client.put("/apisix/0", "from before")
    with running(folder / "log", "-c", settings) as recorder:
        recorder.tells("watch.started")
        writer = Writer(writer_over.endpoint)
        try:
            writer.writes()
            yield recorder, writer
            writer.writes()
        finally:
            writer.stop()
        with EtcdJson(writer_over.endpoint) as client:
            head = client.put("/apisix/last", "word")
            recorder.stores(head)
            assert recorder.stop() == 0
            agrees(client, DirectoryStore(folder / "archive"), head)


def agrees(client: EtcdJson, store: DirectoryStore, head: int) -> None:
    """Check that each revision restores as etcd holds it, in one epoch."""
    (epoch,) = open_archive(store).epochs
    for revision in range(epoch.base, head + 1):
        expected = held(client, PREFIX, revision)
        assert expected == dict(restore(store, AtRevision(revision)).state.items()), revision


def test_a_killed_leader_costs_nothing(etcd_cluster, tmp_path) -> None:
    leader = etcd_cluster.leader()
    kept = etcd_cluster.others(leader)
    with recording(etcd_cluster, leader, kept[0], tmp_path) as (recorder, writer):
        leader.kill()
        recorder.tells("watch.started", 2)
        writer.writes()
        leader.start()
        second = etcd_cluster.leader()
        if second is not kept[0]:
            second.kill()
            writer.writes()
            second.start()


def test_a_suspended_leader_is_noticed_and_another_member_followed(etcd_cluster, tmp_path) -> None:
    leader = etcd_cluster.leader()
    with recording(etcd_cluster, leader, etcd_cluster.others(leader)[0], tmp_path) as (recorder, writer):
        leader.suspend()
        began = time.monotonic()
        recorder.tells("watch.lost")
        assert time.monotonic() - began < 10
        recorder.tells("watch.started", 2)
        assert time.monotonic() - began < 15
        writer.writes()
        leader.resume()


@pytest.mark.parametrize("how", ["kill", "suspend"])
def test_a_lost_quorum_is_told_and_waited_for(etcd_cluster, tmp_path, how) -> None:
    kept, *lost = [etcd_cluster.leader(), *etcd_cluster.others(etcd_cluster.leader())]
    with recording(etcd_cluster, kept, kept, tmp_path) as (recorder, writer):
        for member in lost:
            getattr(member, how)()
        began = time.monotonic()
        recorder.tells("watch.lost")
        assert time.monotonic() - began < 10
        recorder.tells("watch.lost", 2)  # it asks on
        for member in lost:
            member.launch() if how == "kill" else member.resume()
        recorder.tells("watch.started", 2)
        writer.writes()
    assert all(endpoint in recorder.events("watch.lost")[-1]["cause"] for endpoint in etcd_cluster.endpoints)
