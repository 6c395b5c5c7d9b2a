"""Two `replicator run` on one archive in Ceph RGW: the writer is suspended, killed, and the other goes on."""

from __future__ import annotations

import json
import random
import signal
from typing import TYPE_CHECKING

import pytest
from etcd_oracle import held
from life import Life
from servers.ceph import REGION
from servers.command import called, running
from servers.etcd_json import EtcdJson

from replicator import wiring
from replicator.config import load
from replicator.core.plan import AtRevision
from replicator.flows.open_archive import open_archive
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from pathlib import Path

    from servers.ceph import Rgw
    from servers.etcd import Etcd

pytestmark = pytest.mark.ceph

PREFIX = b"/apisix"


def test_a_standby_takes_over_and_nothing_is_lost(rgw: Rgw, etcd: Etcd, tmp_path: Path) -> None:
    settings = written(tmp_path, rgw, etcd.endpoint)
    with EtcdJson(etcd.endpoint) as client:
        client.put(b"/apisix/routes/", b"init_dir")
        life = Life(client, random.Random(3).randrange(1 << 30))
        with running(tmp_path / "one", "-c", settings) as one:
            one.tells("watch.started")
            with running(tmp_path / "two", "-c", settings) as two:
                two.tells("standby.waiting")
                one.tells("standby.noticed")
                one.stores(changed(client, life))
                one.send(signal.SIGSTOP)
                two.stores(changed(client, life))
                one.send(signal.SIGCONT)
                one.tells("writer.fenced")
                two.stores(changed(client, life))
                assert two.stop(signal.SIGKILL) == -signal.SIGKILL
            head = changed(client, life)
            one.stores(head)
            assert one.stop() == 0

        outcome = called("-c", settings, "verify", "--full")
        assert outcome.code == 0, outcome.out
        store = wiring.store(load(settings, {}))
        (epoch,) = open_archive(store).epochs
        for revision in range(epoch.base, head + 1):
            expected = held(client, PREFIX, revision)
            assert expected == dict(restore(store, AtRevision(revision)).state.items()), revision
    assert [event["term"] for event in one.events("lease.taken")] == [1, 3]
    assert [event["term"] for event in two.events("lease.taken")] == [2]


def changed(client: EtcdJson, life: Life) -> int:
    """Make some changes, the last under the prefix; return its revision."""
    for _ in range(25):
        life.change()
    return client.put(b"/apisix/last", b"word")


def written(folder: Path, rgw: Rgw, etcd: str) -> Path:
    """Write settings for a fresh bucket; return the file."""
    keys = {"access_key": rgw.access_key, "secret_key": rgw.secret_key}
    place = {"endpoint": rgw.endpoint, "region": REGION, "use_path_style": True}
    settings = {
        "etcd": {"endpoints": [etcd], "prefix": PREFIX.decode()},
        "archive": f"s3://{rgw.make_bucket()}/some/archive",
        "s3": place | keys,
        "capture": {"flush_interval": "20ms", "lease": "2s", "spool": f"{folder}/spool"},
        "snapshot": {"cron_spec": "@every 1s"},
    }
    path = folder / "replicator.yaml"
    path.write_text(json.dumps(settings))
    return path
