"""etcd is the oracle: whatever happens, and however often the recorder is killed, every revision restores.

A failure prints the seed; the killing's moments are the machine's, so that it need not repeat the same way.
"""

from __future__ import annotations

import base64
import json
import os
import random
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from etcd_oracle import held
from life import Life
from servers.command import replicator, running
from servers.etcd_json import EtcdJson

from replicator.adapters.directory import DirectoryStore
from replicator.core.plan import AtRevision
from replicator.core.records import Record
from replicator.flows.open_archive import open_archive
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFIX = b"/apisix"
REVISIONS = 400


@contextmanager
def living(endpoint: str, seed: int, until_revision: int) -> Iterator[threading.Thread]:
    """Let a thread change the etcd up to some revision; the block may end the recorder meanwhile."""
    failures: list[BaseException] = []

    def live() -> None:
        try:
            with EtcdJson(endpoint) as etcd:
                life = Life(etcd, seed)
                while life.change() < until_revision:
                    time.sleep(life._chance.expovariate(60))
        except BaseException as failure:  # noqa: BLE001
            failures.append(failure)

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    yield thread
    thread.join()
    assert not failures, failures


def configured(folder: Path, endpoint: str) -> Path:
    """Return a configuration that cuts segments and snapshots as often as it may."""
    file = folder / "replicator.yaml"
    file.write_text(
        f"etcd: {{endpoints: ['{endpoint}'], prefix: /apisix}}\n"
        f"archive: file://{folder}/archive\n"
        "capture: {flush_interval: 20ms, flush_bytes: 16KiB}\n"
        "snapshot: {cron_spec: '@every 1s'}\n"
    )
    return file


@pytest.mark.parametrize("seed", [int(os.environ.get("ORACLE_SEED", "1"))])
def test_every_revision_restores_though_the_recorder_is_killed_again_and_again(etcd, tmp_path, seed) -> None:
    settings, log = configured(tmp_path, etcd.endpoint), tmp_path / "log"
    chance = random.Random(seed)
    kills = watches = 0
    with EtcdJson(etcd.endpoint) as client:
        client.put(b"/apisix/routes/0", b"from before")
        with running(log, "-c", settings) as recorder:
            recorder.tells("epoch.opened")
        with living(etcd.endpoint, seed, REVISIONS) as life:
            while life.is_alive():
                with running(log, "-c", settings) as recorder:
                    if chance.random() < 0.8:  # else it dies before it has begun
                        watches += 1
                        recorder.tells("watch.started", watches)
                    life.join(chance.expovariate(2))
                watches = len(recorder.events("watch.started"))
                kills += 1
        head = client.put(b"/apisix/last", b"word")
        with running(log, "-c", settings) as recorder:
            recorder.stores(head)
            assert recorder.stop() == 0
        assert kills >= 3

        store = DirectoryStore(tmp_path / "archive")
        (epoch,) = open_archive(store).epochs
        for revision in range(epoch.base, head + 1):
            expected = held(client, PREFIX, revision)
            actual = dict(restore(store, AtRevision(revision)).state.items())
            assert expected == actual, f"revision {revision}, seed {seed}"
        for revision in chance.sample(range(epoch.base, head + 1), 3):
            assert held(client, PREFIX, revision) == spoken(tmp_path / "archive", revision)


def spoken(archive: Path, revision: int) -> dict[bytes, Record]:
    """Return what the command line restores."""
    outcome = replicator("restore", "--archive", archive.as_uri(), "--revision", revision, "--format", "kv")
    assert outcome.code == 0, outcome.err
    lines = map(json.loads, outcome.out.splitlines())
    return {_bytes(line, "key"): _record(line) for line in lines}


def _record(line: dict[str, Any]) -> Record:
    numbers = (line[name] for name in ("create_revision", "mod_revision", "version", "lease"))
    return Record(_bytes(line, "value"), *numbers)


def _bytes(line: dict[str, Any], name: str) -> bytes:
    return line[name].encode() if name in line else base64.b64decode(line[f"{name}_base64"])
