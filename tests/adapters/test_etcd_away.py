"""The etcd adapter where etcd is away: dead, silent, killed or suspended."""

from __future__ import annotations

import socket
import time
from contextlib import closing

import pytest
from etcd_sources import listening, source_of
from servers.command import until

from replicator.adapters import etcd_watch
from replicator.errors import SourceUnavailable


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for progress ten times as often as in production."""
    monkeypatch.setattr(etcd_watch, "_PROGRESS_S", 0.1)


def test_a_dead_endpoint_is_told(etcd) -> None:
    endpoint = etcd.endpoint
    etcd.stop()
    began = time.monotonic()
    with pytest.raises(SourceUnavailable, match=f"etcd at {endpoint}") as caught:
        source_of(endpoint).status()
    assert "etcd.endpoints" in caught.value.hint
    assert time.monotonic() - began < 8


def test_an_endpoint_that_never_answers_is_told_in_time() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        began = time.monotonic()
        with pytest.raises(SourceUnavailable, match="etcd at"):
            source_of(f"http://127.0.0.1:{silent.getsockname()[1]}").status()
        assert time.monotonic() - began < 8


def test_the_first_endpoint_that_answers_is_taken(etcd, client) -> None:
    revision = client.put("/apisix/a", "1")
    source = source_of("http://127.0.0.1:9", etcd.endpoint)
    assert revision == source.status().head
    assert [key for key, _ in source.read(revision)] == [b"/apisix/a"]


def test_where_none_answers_each_says_why() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        endpoints = "http://127.0.0.1:9", f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(SourceUnavailable) as caught:
            source_of(*endpoints).status()
    first, second = str(caught.value).split("; ", 1)
    assert "unavailable" in first
    assert "deadline_exceeded" in second
    assert all(endpoint in said for endpoint, said in zip(endpoints, (first, second), strict=True))


def test_a_silent_endpoint_is_not_asked_first_again(etcd) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        source = source_of(f"http://127.0.0.1:{silent.getsockname()[1]}", etcd.endpoint)
        began = time.monotonic()
        source.status()
        asked = time.monotonic()
        source.status()
        assert asked - began < 4
        assert time.monotonic() - asked < 1.5


def test_after_a_loss_the_next_endpoint_comes_first(etcd, etcd_factory) -> None:
    other = etcd_factory("--unsafe-no-fsync")
    source = source_of(etcd.endpoint, other.endpoint)
    source.status()
    with listening(source, 1) as listener:
        listener.hears(1)
        etcd.restart()
        until(lambda: listener.failure is not None, "the watch has ended")
        source.status()
        assert source._connection.endpoint == other.endpoint


def test_a_killed_server_ends_the_watch(source, etcd) -> None:
    with listening(source, 1) as listener:
        listener.hears(1)
        etcd.kill()
        until(lambda: listener.failure is not None, "the watch has ended")
    assert isinstance(listener.failure, SourceUnavailable)


def test_a_suspended_server_ends_the_watch(source, etcd) -> None:
    with listening(source, 1) as listener:
        listener.hears(1)
        etcd.suspend()
        began = time.monotonic()
        until(lambda: listener.failure is not None, "the watch has ended")
        assert time.monotonic() - began < 10
    assert isinstance(listener.failure, SourceUnavailable)
