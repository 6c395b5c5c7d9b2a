"""What S3 and the network can answer: what passes is waited for, what doesn't has a hint."""

from __future__ import annotations

import math
import socket
import time
from typing import TYPE_CHECKING

import pytest
from servers.clock import SteppedClock
from servers.moto import refusal
from servers.proxy import Answer, Fault, FaultProxy

from replicator.adapters.retrying import Retrying
from replicator.adapters.s3 import S3Options, S3Store
from replicator.errors import ObjectMissing, StoreMisconfigured, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.moto import S3Server

    OpenS3 = Callable[..., S3Store]

CALLS: dict[str, Callable[[S3Store], object]] = {
    "create": lambda store: store.create("new", b"new"),
    "get": lambda store: store.get("held"),
    "names": lambda store: list(store.names("")),
    "delete": lambda store: store.delete("held"),
    "replace": lambda store: store.replace("held", b"held", b"new"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "fault",
    [
        Fault.BUSY,
        Fault.RESET,
        Fault.ACK_LOST,
        refusal(409, "ConditionalRequestConflict"),
        refusal(500, "InternalError"),
        refusal(503, "SlowDown"),
        refusal(400, "RequestTimeout"),
        Answer(502, b"<html>not S3</html>"),
    ],
    ids=str,
)
def test_what_passes_is_waited_for(
    s3_store: S3Store, proxy: FaultProxy, call: str, fault: Fault | Answer
) -> None:
    proxy.follow([fault, fault])
    CALLS[call](s3_store)
    assert len(proxy.seen) >= 3


@pytest.mark.parametrize("call", ["get", "names"])
def test_half_an_answer_is_no_answer(s3_store: S3Store, proxy: FaultProxy, call: str) -> None:
    proxy.follow([Fault.TRUNCATED])
    CALLS[call](s3_store)
    assert proxy.methods == ["GET", "GET"]


def test_half_of_a_refusal_is_no_answer(s3_store: S3Store, proxy: FaultProxy) -> None:
    proxy.follow([Fault.TRUNCATED, Fault.TRUNCATED])
    with pytest.raises(ObjectMissing):
        s3_store.get("missing")
    assert proxy.methods == ["GET", "GET", "GET"]


@pytest.mark.usefixtures("s3_store")
def test_a_service_that_stays_ill_is_unavailable(proxy: FaultProxy, open_s3: OpenS3) -> None:
    proxy.follow([Fault.BUSY] * 1000)
    with pytest.raises(StoreUnavailable, match="503") as caught:
        open_s3(proxy.endpoint, Retrying(20, clock=SteppedClock())).get("held")
    assert not isinstance(caught.value, StoreMisconfigured)
    assert "s3://" in str(caught.value)
    assert "some/archive/held" in str(caught.value)
    assert caught.value.hint


@pytest.mark.usefixtures("s3_store")
def test_a_service_that_hangs_is_unavailable_in_time(proxy: FaultProxy, open_s3: OpenS3) -> None:
    hung = open_s3(proxy.endpoint, Retrying(total_seconds=0.6), timeout_seconds=0.3)
    proxy.follow([Fault.HANG] * 1000)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"(?i)timeout") as caught:
        hung.create("a", b"1")
    assert not isinstance(caught.value, StoreMisconfigured)
    assert time.monotonic() - begun < 3


def test_nobody_at_the_endpoint_is_unavailable(open_s3: OpenS3) -> None:
    with socket.create_server(("127.0.0.1", 0)) as vacant:
        port = vacant.getsockname()[1]
    with pytest.raises(StoreUnavailable, match="connect") as caught:
        open_s3(f"http://127.0.0.1:{port}", Retrying(1, clock=SteppedClock())).get("a")
    assert not isinstance(caught.value, StoreMisconfigured)
    assert "endpoint" in caught.value.hint


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (refusal(403, "AccessDenied"), "s3:ListBucket"),
        (refusal(403, "InvalidAccessKeyId"), "access key id"),
        (refusal(403, "SignatureDoesNotMatch"), "secret key"),
        (refusal(400, "ExpiredToken"), "renew"),
        (refusal(403, "RequestTimeTooSkewed"), "clock"),
        (refusal(403, "SomethingNew"), "s3:ListBucket"),
        (refusal(301, "PermanentRedirect"), "s3.region"),
        (refusal(400, "AuthorizationHeaderMalformed"), "s3.region"),
        (refusal(404, "NoSuchBucket"), "create the bucket"),
        (Answer(404, b"<html>not S3</html>", "text/html"), "s3.endpoint"),
        (refusal(501, "NotImplemented"), "conditional writes"),
    ],
    ids=str,
)
def test_what_does_not_pass_has_a_hint(
    s3_store: S3Store, proxy: FaultProxy, call: str, answer: Answer, hint: str
) -> None:
    proxy.follow([answer] * 1000)
    with pytest.raises(StoreMisconfigured) as caught:
        CALLS[call](s3_store)
    assert hint in caught.value.hint
    assert "some-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert s3_store._bucket in str(caught.value)
    assert len(proxy.seen) <= 3  # botocore itself looks for the bucket's region after a 301


def test_a_service_that_gives_no_words(s3_store: S3Store, proxy: FaultProxy) -> None:
    """As Ceph does."""
    proxy.follow([Answer(403, b"<Error><Code>SignatureDoesNotMatch</Code><Message/></Error>")])
    with pytest.raises(StoreMisconfigured, match=r"SignatureDoesNotMatch.* operation( \(.*\))?$"):
        s3_store.get("held")


@pytest.mark.parametrize("call", CALLS)
def test_a_missing_bucket(s3_server: S3Server, open_s3: OpenS3, call: str) -> None:
    store = open_s3(
        s3_server.endpoint, Retrying(math.inf, clock=SteppedClock()), bucket="no-such-bucket-here"
    )
    with pytest.raises(StoreMisconfigured, match="no-such-bucket-here") as caught:
        CALLS[call](store)
    assert "create the bucket" in caught.value.hint


def test_an_impossible_bucket(s3_server: S3Server, open_s3: OpenS3) -> None:
    with pytest.raises(StoreMisconfigured, match="bucket name"):
        open_s3(s3_server.endpoint, bucket="no bucket").get("a")


def test_no_credentials(s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StoreMisconfigured, match=r"(?i)credentials") as caught:
        S3Store(bucket, "", S3Options(s3_server.endpoint, "eu-west-1")).get("a")
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint


def test_an_unknown_profile(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StoreMisconfigured, match="nobody"):
        S3Store(bucket, "", S3Options(region="eu-west-2")).get("a")
