"""What the tests of the adapters share."""

from __future__ import annotations

import math
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from etcd_sources import source_of
from servers.ceph import REGION
from servers.clock import SteppedClock
from servers.etcd_json import EtcdJson
from servers.proxy import FaultProxy, faulty

from replicator.adapters.retrying import Retrying
from replicator.adapters.s3 import S3Options, S3Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers.ceph import Rgw
    from servers.etcd import Etcd
    from servers.moto import S3Server

    from replicator.adapters.etcd import EtcdSource


@pytest.fixture(scope="session")
def one_proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    """Return a proxy in front of S3: one, since each endpoint costs a client."""
    with faulty(s3_server.endpoint) as running:
        yield running


@pytest.fixture
def proxy(one_proxy: FaultProxy) -> FaultProxy:
    """Return a proxy in front of S3 that has seen nothing yet, and does no harm."""
    one_proxy.follow(())
    return one_proxy


@pytest.fixture
def open_s3(bucket: str) -> Callable[..., S3Store]:
    """Return a function from an endpoint to a store in this test's bucket."""

    def opened(endpoint: str, retrying: Retrying | None = None, **options: Any) -> S3Store:
        return S3Store(
            options.pop("bucket", bucket),
            options.pop("prefix", "some/archive"),
            S3Options(endpoint, "us-east-1", access_key="some-id", secret_key="some-secret", **options),
            retrying,
        )

    return opened


@pytest.fixture
def s3_store(proxy: FaultProxy, open_s3: Callable[..., S3Store]) -> S3Store:
    """Return a store behind *proxy* that holds one object, `held`, and retries without real pauses."""
    store = open_s3(proxy.endpoint, Retrying(math.inf, clock=SteppedClock()))
    store.create("held", b"held")
    proxy.follow(())
    return store


@pytest.fixture(scope="session")
def rgw_proxy(rgw: Rgw) -> Iterator[FaultProxy]:
    """Return a proxy in front of Ceph RGW."""
    with faulty(rgw.endpoint) as running:
        yield running


@pytest.fixture(scope="session")
def rgw_bucket(rgw: Rgw) -> str:
    """Return the bucket that all stores on Ceph RGW share."""
    return rgw.make_bucket()


@pytest.fixture
def open_rgw(rgw: Rgw, rgw_bucket: str) -> Callable[..., S3Store]:
    """Return a function from an endpoint to a store on Ceph RGW that nobody has used."""

    def opened(endpoint: str, retrying: Retrying | None = None) -> S3Store:
        keys = {"access_key": rgw.access_key, "secret_key": rgw.secret_key}
        options = S3Options(endpoint, REGION, use_path_style=True, **keys)
        return S3Store(rgw_bucket, f"some/{uuid.uuid4().hex}", options, retrying)

    return opened


@pytest.fixture
def source(etcd: Etcd) -> Iterator[EtcdSource]:
    """Return a connected source of the prefix."""
    opened = source_of(etcd.endpoint)
    opened.status()
    yield opened
    opened.interrupt()


@pytest.fixture
def client(etcd: Etcd) -> Iterator[EtcdJson]:
    """Return a foreign client of the same etcd."""
    with EtcdJson(etcd.endpoint) as opened:
        yield opened
