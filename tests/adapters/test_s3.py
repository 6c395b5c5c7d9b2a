"""What is particular to an archive in S3: lost answers, quoted ETags, pages, one client."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from servers.clock import SteppedClock
from servers.moto import refusal
from servers.proxy import Fault, FaultProxy

from replicator.adapters.retrying import Retrying
from replicator.adapters.s3 import S3Options, S3Store
from replicator.errors import ObjectChanged, ObjectExists

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.moto import S3Server

    OpenS3 = Callable[..., S3Store]

NONE = Fault.NONE


def test_an_own_creation_whose_answer_was_lost_is_success(s3_store: S3Store, proxy: FaultProxy) -> None:
    proxy.follow([Fault.ACK_LOST])
    s3_store.create("a", b"1")
    assert proxy.methods == ["PUT", "PUT", "GET"]
    assert s3_store.get("a") == b"1"


def test_another_creation_is_not_ours_though_answers_were_lost(s3_store: S3Store, proxy: FaultProxy) -> None:
    proxy.follow([Fault.ACK_LOST, Fault.ACK_LOST])
    with pytest.raises(ObjectExists):
        s3_store.create("held", b"other")
    assert s3_store.get("held") == b"held"


def test_an_object_that_goes_while_compared_is_created_anew(s3_store: S3Store, proxy: FaultProxy) -> None:
    proxy.follow([refusal(412, "PreconditionFailed"), refusal(404, "NoSuchKey")])
    s3_store.create("a", b"1")
    assert proxy.methods == ["PUT", "GET", "PUT"]
    assert s3_store.get("a") == b"1"


def test_a_swap_whose_answer_was_lost_is_success(s3_store: S3Store, proxy: FaultProxy) -> None:
    proxy.follow([NONE, Fault.ACK_LOST])
    s3_store.replace("held", b"held", b"mine")
    assert proxy.methods == ["GET", "PUT", "GET"]
    assert s3_store.get("held") == b"mine"


def test_a_first_swap_whose_answer_was_lost_is_success(s3_store: S3Store, proxy: FaultProxy) -> None:
    proxy.follow([NONE, Fault.ACK_LOST])
    s3_store.replace("a", None, b"mine")
    assert s3_store.get("a") == b"mine"


@pytest.mark.usefixtures("s3_store")
def test_a_swap_that_lost_its_answer_and_then_the_race(
    proxy: FaultProxy, s3_server: S3Server, open_s3: OpenS3
) -> None:
    """The first attempt never arrives; before the second, another writer's swap does."""
    other = open_s3(s3_server.endpoint)
    retrying = Retrying(math.inf, lambda *_: other.replace("held", b"held", b"theirs"), clock=SteppedClock())
    proxy.follow([NONE, Fault.RESET])
    with pytest.raises(ObjectChanged):
        open_s3(proxy.endpoint, retrying).replace("held", b"held", b"mine")
    assert other.get("held") == b"theirs"


def test_equal_bytes_of_another_are_no_swap_of_ours(
    s3_store: S3Store, s3_server: S3Server, open_s3: OpenS3
) -> None:
    open_s3(s3_server.endpoint).replace("held", b"held", b"same")
    with pytest.raises(ObjectChanged):
        s3_store.replace("held", b"held", b"same")


def test_a_service_that_takes_etags_only_without_quotes(s3_store: S3Store, proxy: FaultProxy) -> None:
    """As Ceph does. What it wants is found out once."""
    proxy.follow([NONE, refusal(412, "PreconditionFailed")])
    s3_store.replace("held", b"held", b"1")
    s3_store.replace("held", b"1", b"2")
    etags = [seen.headers["If-Match"] for seen in proxy.seen if seen.method == "PUT"]
    assert [etag.startswith('"') for etag in etags] == [True, False, False]
    assert s3_store.get("held") == b"2"


def test_a_lost_race_teaches_nothing_about_quotes(s3_store: S3Store, proxy: FaultProxy) -> None:
    proxy.follow([NONE, refusal(412, "PreconditionFailed"), refusal(412, "PreconditionFailed")])
    with pytest.raises(ObjectChanged):
        s3_store.replace("held", b"held", b"1")
    s3_store.replace("held", b"held", b"1")
    etags = [seen.headers["If-Match"] for seen in proxy.seen if seen.method == "PUT"]
    assert [etag.startswith('"') for etag in etags] == [True, False, True]


def test_a_service_that_takes_etags_with_quotes(s3_store: S3Store, proxy: FaultProxy) -> None:
    s3_store.replace("held", b"held", b"1")
    proxy.follow([NONE, refusal(412, "PreconditionFailed")])
    with pytest.raises(ObjectChanged):
        s3_store.replace("held", b"1", b"2")
    assert proxy.methods == ["GET", "PUT"]


def test_a_missing_key_is_404_to_a_swap_on_aws(s3_store: S3Store, proxy: FaultProxy) -> None:
    proxy.follow([NONE, refusal(404, "NoSuchKey")])
    with pytest.raises(ObjectChanged):
        s3_store.replace("held", b"held", b"1")


@pytest.mark.usefixtures("s3_store")
def test_each_retry_is_told(proxy: FaultProxy, open_s3: OpenS3) -> None:
    told: list[Any] = []
    retrying = Retrying(math.inf, lambda *arguments: told.append(arguments), clock=SteppedClock())
    proxy.follow([Fault.BUSY, Fault.RESET])
    open_s3(proxy.endpoint, retrying).create("a", b"1")
    assert [(operation, name, attempt) for operation, name, attempt, _ in told] == [
        ("create", "a", 1),
        ("create", "a", 2),
    ]
    assert "503" in told[0][3]


def test_no_secret_shows() -> None:
    shown = repr(S3Options("http://s3", access_key="some-id", secret_key="some-secret"))
    assert "some-id" not in shown
    assert "some-secret" not in shown
    assert "http://s3" in shown


def test_threads_and_stores_share_one_client(
    s3_server: S3Server, open_s3: OpenS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    session = boto3.session.Session

    def counted() -> Any:
        made.append("client")
        return session()

    monkeypatch.setattr(boto3.session, "Session", counted)
    stores = [open_s3(s3_server.endpoint, timeout_seconds=4.5) for _ in range(2)]
    assert made == []
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: stores[number % 2].create("a", b"1"), range(8)))
    assert made == ["client"]


def test_pages_are_asked_for_as_they_are_read(
    s3_store: S3Store, proxy: FaultProxy, s3_server: S3Server, bucket: str
) -> None:
    names = [f"log/{number:020d}" for number in range(1003)]
    s3_server.fill(bucket, [f"some/archive/{name}" for name in names])
    found = s3_store.names("log/", names[0])
    assert proxy.methods == []
    assert next(found) == names[1]
    assert proxy.methods == ["GET"]
    assert list(found) == names[2:]
    assert proxy.methods == ["GET", "GET"]


def test_an_archive_sees_only_what_is_below_its_prefix(s3_server: S3Server, open_s3: OpenS3) -> None:
    archive, neighbour, whole = (
        open_s3(s3_server.endpoint, prefix=prefix) for prefix in ("/a/b/", "a/b-c", "")
    )
    archive.create("log/1", b"1")
    neighbour.create("log/2", b"2")
    assert list(archive.names("")) == ["log/1"]
    assert list(whole.names("")) == ["a/b-c/log/2", "a/b/log/1"]
    assert whole.get("a/b/log/1") == b"1"


def test_strangers_in_a_bucket_are_passed_over(s3_server: S3Server, bucket: str, open_s3: OpenS3) -> None:
    strangers = ["", "a b", "folder/", ".hidden", "\u00e4"]
    s3_server.fill(bucket, [f"some/archive/{name}" for name in strangers])
    store = open_s3(s3_server.endpoint)
    store.create("log/1", b"")
    assert list(store.names("")) == ["log/1"]


def test_each_object_is_encrypted_with_the_key_that_was_named(proxy: FaultProxy, open_s3: OpenS3) -> None:
    store = open_s3(proxy.endpoint, sse_kms_key_id="some-key")
    store.create("a", b"1")
    store.replace("a", b"1", b"2")
    puts = [seen.headers for seen in proxy.seen if seen.method == "PUT"]
    assert len(puts) == 2
    for headers in puts:
        assert headers["x-amz-server-side-encryption"] == "aws:kms"
        assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "some-key"
