"""`replicator run` with a spool: the store is away, etcd forgets, the process dies, and nothing is lost."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack
from itertools import repeat
from typing import TYPE_CHECKING

import pytest
from servers.command import answered, called, running, until
from servers.etcd_json import EtcdJson
from servers.proxy import Fault, faulty
from servers.scrape import ANY_PORT, scraped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.etcd import Etcd
    from servers.moto import S3Server


@pytest.mark.parametrize("keys", ["none", "a key"])
def test_a_store_that_is_away_longer_than_etcd_remembers(
    settings: Callable[..., Path],
    etcd: Etcd,
    s3_server: S3Server,
    bucket: str,
    tmp_path: Path,
    keys: str,
) -> None:
    (tmp_path / "keys").write_text("00" * 32)
    (tmp_path / "keys").chmod(0o600)
    with faulty(s3_server.endpoint) as proxy, EtcdJson(etcd.endpoint) as client:
        path = settings(
            etcd={"endpoints": [etcd.endpoint], "prefix": "/apisix"},
            archive=f"s3://{bucket}/archive",
            s3={"endpoint": proxy.endpoint, "region": "us-east-1", "access_key": "id", "secret_key": "key"},
            capture={"flush_interval": "0", "spool": str(tmp_path / "spool"), "lease": "2s"},
            metrics=ANY_PORT,
            **({"encryption": {"key_file": str(tmp_path / "keys")}} if keys == "a key" else {}),
        )
        url, said = f"s3://{bucket}/archive", {}
        client.put("/apisix/routes/1", "before")
        with running(tmp_path / "log", "-c", path) as recorder:
            recorder.tells("watch.started")
            proxy.follow(repeat(Fault.BUSY))
            address = recorder.events("metrics.served")[0]["address"]
            for number in range(3):
                said[value] = client.put("/apisix/routes/1", value := f"private-key-{number}")
                until(lambda n=number: scraped(address, url)["spool_segments"] > n, "it is spooled")  # type: ignore[misc]
                client.compact(said[value])
            found = scraped(address, url)
            assert found["is_writer"] == found["takeovers_total"] == 1
            assert found["spool_bytes"] > 0
            assert recorder.stop(signal.SIGKILL) == -signal.SIGKILL
        spooled = [each.read_bytes() for each in (tmp_path / "spool").rglob("*.zst")]
        assert len(spooled) == 3
        assert all(body.startswith(b"RPLSEAL") for body in spooled) == (keys == "a key")
        client.compact(client.put("/apisix/routes/1", "while nobody watches"))
        proxy.follow([])
        with running(tmp_path / "log2", "-c", path) as recorder:
            recorder.tells("spool.recovered")
            recorder.tells("epoch.opened")  # what came while nobody watched is compacted: that is a gap
            assert recorder.stop() == 0
        assert not list((tmp_path / "spool").rglob("*.zst"))
        assert [epoch["reason"] for epoch in answered("-c", path, "list")["epochs"]] == ["first", "compacted"]
        for value, revision in said.items():
            outcome = called("-c", path, "restore", "--format", "kv", "--revision", revision)
            assert json.loads(outcome.out)["value"] == value


def test_what_a_suspended_writer_has_spooled_is_stored_by_the_next_one_on_its_disk(
    settings: Callable[..., Path], etcd: Etcd, s3_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    with faulty(s3_server.endpoint) as proxy, EtcdJson(etcd.endpoint) as client:
        path = settings(
            etcd={"endpoints": [etcd.endpoint], "prefix": "/apisix"},
            archive=f"s3://{bucket}/archive",
            s3={"endpoint": proxy.endpoint, "region": "us-east-1", "access_key": "id", "secret_key": "key"},
            capture={"flush_interval": "0", "spool": str(tmp_path / "spool"), "lease": "2s"},
        )
        client.put("/apisix/routes/1", "before")
        with ExitStack() as stack:
            one = stack.enter_context(running(tmp_path / "one", "-c", path))
            one.tells("watch.started")
            two = stack.enter_context(running(tmp_path / "two", "-c", path))
            two.tells("standby.waiting")
            proxy.follow(repeat(Fault.BUSY))
            revision = client.put("/apisix/routes/1", "on its disk alone")
            until(lambda: list((tmp_path / "spool").rglob("*.zst")), "it is spooled")
            one.send(signal.SIGSTOP)
            client.compact(client.put("/apisix/routes/1", "while nobody watches"))
            proxy.follow([])
            two.tells("spool.recovered")
            two.tells("epoch.opened")
            assert two.stop() == 0
            one.send(signal.SIGCONT)
            assert one.stop() == 0
        outcome = called("-c", path, "restore", "--format", "kv", "--revision", revision)
    assert json.loads(outcome.out)["value"] == "on its disk alone", outcome.err


def test_a_stop_while_the_store_is_away_says_what_waits_where(
    settings: Callable[..., Path],
    client: EtcdJson,
    prefix: str,
    tmp_path: Path,
    s3_server: S3Server,
    bucket: str,
) -> None:
    with faulty(s3_server.endpoint) as proxy:
        path = settings(
            archive=f"s3://{bucket}/archive",
            s3={"endpoint": proxy.endpoint, "region": "us-east-1", "access_key": "id", "secret_key": "key"},
            capture={"flush_interval": "0", "spool": str(tmp_path / "spool")},
        )
        with running(tmp_path / "log", "-c", path) as recorder:
            recorder.tells("watch.started")
            proxy.follow(repeat(Fault.RESET))
            client.put(f"{prefix}/routes/1", "1")
            until(lambda: bool(list((tmp_path / "spool").rglob("*.zst"))), "it is spooled")
            assert recorder.stop() == 5
        (failed,) = recorder.events("run.failed")
        assert "1 segments" in failed["cause"]
        assert "wait in the spool" in failed["cause"]
        assert "start it here again" in failed["hint"]
