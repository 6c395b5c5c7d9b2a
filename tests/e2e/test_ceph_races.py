"""Sixteen writers at once on Ceph RGW, each with a connection of its own: the log has one winner."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from servers.ceph import REGION
from servers.keys import keys

from replicator.adapters.s3 import S3Options, S3Store
from replicator.adapters.sealed import SealedStore
from replicator.core import names
from replicator.core.names import LogName
from replicator.errors import ObjectChanged, ObjectExists

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.ceph import Rgw

    from replicator.ports import ObjectStore

pytestmark = pytest.mark.ceph

WRITERS = 16
ROUNDS = 10


@pytest.fixture(params=["plain", "encrypted"])
def stores(request: pytest.FixtureRequest, rgw: Rgw) -> list[ObjectStore]:
    """Return a store for each writer, all on one archive."""
    bucket = rgw.make_bucket()
    options = S3Options(
        rgw.endpoint, REGION, use_path_style=True, access_key=rgw.access_key, secret_key=rgw.secret_key
    )
    opened = [S3Store(bucket, "some/archive", options) for _ in range(WRITERS)]
    return [SealedStore(store, keys()) for store in opened] if request.param == "encrypted" else opened


def raced(stores: list[ObjectStore], attempt: Callable[[int, ObjectStore], None]) -> list[object]:
    """Return what each writer's *attempt* ends with, None or an error; all begin at once."""
    start = Barrier(WRITERS)

    def begin(number: int) -> object:
        start.wait()
        try:
            return attempt(number, stores[number])
        except (ObjectExists, ObjectChanged) as error:
            return type(error)

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(begin, range(WRITERS)))


def test_one_of_sixteen_writes_the_next_segment(stores: list[ObjectStore]) -> None:
    for after in range(ROUNDS):
        name = str(LogName(1, after))
        bodies = [random.Random(number).randbytes(20_000) for number in range(WRITERS)]
        ends = raced(stores, lambda number, store: store.create(name, bodies[number]))  # noqa: B023
        assert ends.count(None) == 1, ends
        assert ends.count(ObjectExists) == WRITERS - 1, ends
        assert {store.get(name) for store in stores} == {bodies[ends.index(None)]}


def test_one_of_sixteen_takes_the_lease(stores: list[ObjectStore]) -> None:
    held: bytes | None = None
    for term in range(ROUNDS):
        claims = [b"term %d of writer %d" % (term, number) for number in range(WRITERS)]
        ends = raced(
            stores,
            lambda number, store: store.replace(names.CHECKPOINT, held, claims[number]),  # noqa: B023
        )
        assert ends.count(None) == 1, ends
        assert ends.count(ObjectChanged) == WRITERS - 1, ends
        held = claims[ends.index(None)]
        assert {store.get(names.CHECKPOINT) for store in stores} == {held}
