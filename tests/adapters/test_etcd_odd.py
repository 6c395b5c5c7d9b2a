"""The etcd adapter against a server that no real etcd is on demand: half of it answers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from etcd_sources import listening, source_of
from servers.command import until

from replicator.adapters import etcd_watch
from replicator.adapters.etcd_messages import messages
from replicator.errors import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


class OddEtcd(grpc.GenericRpcHandler):
    """Answers ranges at revision 7; keeps its version to itself, and every watch waiting."""

    def __init__(self) -> None:
        self.closing = threading.Event()
        self.range_refusals: list[tuple[grpc.StatusCode, str]] = []

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return who handles *call*."""
        match call.method.rpartition("/")[2]:
            case "Status":
                return grpc.unary_unary_rpc_method_handler(self._status)
            case "Range":
                return grpc.unary_unary_rpc_method_handler(
                    self._range, response_serializer=messages.RangeResponse.SerializeToString
                )
            case "Watch":
                return grpc.stream_stream_rpc_method_handler(self._watch)
        return None

    def _status(self, _: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "etcdserver: permission denied")

    def _range(self, _: bytes, context: grpc.ServicerContext) -> Any:
        if self.range_refusals:
            context.abort(*self.range_refusals.pop())
        return messages.RangeResponse(header=messages.ResponseHeader(cluster_id=10, revision=7))

    def _watch(self, _: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        while context.is_active() and not self.closing.wait(0.01):
            yield from ()


@pytest.fixture
def odd() -> Iterator[tuple[OddEtcd, str]]:
    """Return such a server, and its endpoint."""
    etcd = OddEtcd()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[etcd])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield etcd, f"http://127.0.0.1:{port}"
    etcd.closing.set()
    server.stop(None).wait(10)


def test_a_version_that_is_not_told_is_not_needed(odd) -> None:
    _, endpoint = odd
    status = source_of(endpoint).status()
    assert (status.version, status.head, status.cluster_id) == ("unknown", 7, "a")
    assert not status.tells_progress


def test_a_watch_that_never_begins_is_given_up(odd, monkeypatch) -> None:
    monkeypatch.setattr(etcd_watch, "_PROGRESS_S", 0.02)
    monkeypatch.setattr(etcd_watch, "_SILENCE_S", 0.2)
    _, endpoint = odd
    source = source_of(endpoint)
    source.status()
    with listening(source, 7) as listener:
        until(lambda: listener.failure is not None, "it is given up")
    assert isinstance(listener.failure, SourceUnavailable)
    assert "doesn't begin the watch" in str(listener.failure)


def test_what_etcd_says_is_told_in_one_printable_line(odd) -> None:
    etcd, endpoint = odd
    etcd.range_refusals.append((grpc.StatusCode.UNAVAILABLE, "first\n\x1b[2J  second\r\x00"))
    with pytest.raises(SourceUnavailable) as caught:
        source_of(endpoint).status()
    assert str(caught.value) == f"etcd at {endpoint}: unavailable: first [2J second"


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED])
def test_a_single_question_without_an_answer_is_no_loss(odd, monkeypatch, code) -> None:
    monkeypatch.setattr(etcd_watch, "_PROGRESS_S", 0.02)
    monkeypatch.setattr(etcd_watch, "_LAST_WORDS", 1)
    etcd, endpoint = odd
    source = source_of(endpoint)
    source.status()
    with listening(source, 7) as listener:
        etcd.range_refusals += [(code, "etcdserver: no leader")] * 3
        until(lambda: not etcd.range_refusals or listener.failure is not None, "all were asked")
        assert listener.failure is None
