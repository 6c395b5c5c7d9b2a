"""The question that an agent asks each few seconds: is etcd well, and has it anything?"""

from __future__ import annotations

import time

import pytest
from etcd_sources import source_of

from replicator.errors import SourceUnavailable


def test_it_tells_whether_there_is_a_resource_under_the_prefix(etcd, client) -> None:
    source = source_of(etcd.endpoint)
    assert not source.probe()
    client.put("/apisix-2/routes/1", "1")
    client.put("/apisix/routes/", "init_dir")
    client.put("/apisix/data_plane/server_info/1", "{}")
    assert not source.probe()
    client.put("/apisix/routes/1", "1")
    connection = source._connection
    assert source.probe()
    assert source._connection is connection


def test_a_suspended_etcd_is_told_in_time_and_found_again(etcd, client) -> None:
    client.put("/apisix/ssls/a", "1")
    source = source_of(etcd.endpoint)
    assert source.probe()
    etcd.suspend()
    began = time.monotonic()
    try:
        with pytest.raises(SourceUnavailable):
            source.probe()
        assert time.monotonic() - began < 15
    finally:
        etcd.resume()
    assert source.probe()


def test_another_endpoint_is_asked_before_an_outage_is_told(etcd, etcd_factory, client) -> None:
    client.put("/apisix/ssls/a", "1")
    dead = etcd_factory()
    source = source_of(dead.endpoint, etcd.endpoint)
    assert not source.probe()
    dead.kill()
    assert source.probe()
