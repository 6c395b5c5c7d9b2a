"""What our one writer puts, as etcd's own client sees it."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest

from replicator.adapters.etcd_writer import EtcdWriter
from replicator.errors import SourceUnavailable

if TYPE_CHECKING:
    from servers.etcd import Etcd

KEY, VALUE = b"/apisix/routes/1", bytes(range(256))


@pytest.fixture
def writer(etcd: Etcd) -> EtcdWriter:
    return EtcdWriter(etcd.endpoint)


def seen(etcd: Etcd, *more: str) -> Any:
    return json.loads(etcd.ctl("get", KEY.decode(), "-w", "json", *more))


def test_puts_any_bytes_and_returns_their_revision(etcd, writer) -> None:
    revision = writer.put(KEY, VALUE)
    (found,) = seen(etcd)["kvs"]
    assert b64decode(found["value"]) == VALUE
    assert found["mod_revision"] == revision


def test_puts_on_a_lease_that_ends(etcd, writer) -> None:
    writer.put(KEY, VALUE, writer.grant(3600))
    lease = seen(etcd)["kvs"][0]["lease"]
    assert b"granted with TTL(3600s)" in etcd.ctl("lease", "timetolive", f"{lease:x}")


def test_deletes_and_returns_the_revision(etcd, writer) -> None:
    put = writer.put(KEY, VALUE)
    deleted = writer.delete(KEY)
    assert "kvs" not in seen(etcd)
    assert (deleted, seen(etcd)["header"]["revision"]) == (put + 1, put + 1)
    assert writer.delete(KEY) == deleted, "there was nothing left to delete"


def test_tells_what_etcd_refuses(writer) -> None:
    with pytest.raises(SourceUnavailable, match="answers 400 to kv/put"):
        writer.put(b"", VALUE)


def test_tells_when_etcd_is_away_and_goes_on_when_it_is_back(etcd_factory) -> None:
    etcd = etcd_factory()
    writer = EtcdWriter(etcd.endpoint)
    before = writer.put(KEY, VALUE)
    etcd.stop()
    with pytest.raises(SourceUnavailable, match=etcd.endpoint):
        writer.put(KEY, VALUE)
    etcd.start()
    assert writer.put(KEY, VALUE) == before + 1
