"""The contract of `ObjectStore`, over each adapter, and over S3 that fails at random."""

from __future__ import annotations

import itertools
import math
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from servers.clock import SteppedClock
from servers.keys import keys
from servers.proxy import Fault, at_random

from replicator.adapters.clock import SystemClock
from replicator.adapters.directory import DirectoryStore
from replicator.adapters.measured import MeasuredStore
from replicator.adapters.retrying import Retrying
from replicator.adapters.sealed import SealedStore
from replicator.core.limits import DOCUMENT_BYTES
from replicator.errors import ArchiveDamaged, ObjectChanged, ObjectExists, ObjectMissing
from replicator.telemetry.metrics import Silent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from replicator.ports import ObjectStore

FAULTS = [Fault.BUSY, Fault.RESET, Fault.ACK_LOST, Fault.TRUNCATED]
NAMES = sorted(
    [
        "archive.json",
        "checkpoint.json",
        "e00000001/epoch.json",
        "e00000001/log/00000000000000000041.jsonl.zst",
        "e00000001/log/00000000000000000042.jsonl.zst",
        "e00000001/snapshots/00000000000000000042@20260102T030405.000006Z.jsonl.zst",
        "e00000001-old",  # these sort before e00000001/..., though a walk meets them after e00000001
        "e00000001.txt",
        "e00000001_",  # and this one after
        "e00000002/epoch.json",
        "e00000002/merged/00000000000000000041-00000000000000000050@20260102T030405Z--20260102T030406Z",
        "E",
        "-",
        "@T",
    ]
)


# How a store of each service is opened, the service, and a proxy in front of it: fixtures.
SERVICES = {"s3": ("open_s3", "s3_server", "proxy"), "ceph": ("open_rgw", "rgw", "rgw_proxy")}
ON_CEPH = [pytest.param(name, marks=pytest.mark.ceph) for name in ("ceph", "ceph that fails")]
ENCRYPTED = [
    *(f"{inner}, encrypted" for inner in ("directory", "s3", "s3 that fails")),
    *(pytest.param(f"{name}, encrypted", marks=pytest.mark.ceph) for name in ("ceph", "ceph that fails")),
]


@pytest.fixture(params=["directory", "measured", "s3", "s3 that fails", *ON_CEPH, *ENCRYPTED])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Return an empty store."""
    if request.param == "measured":
        return MeasuredStore(DirectoryStore(tmp_path / "archive"), Silent(), SystemClock())
    inner, encrypted, _ = request.param.partition(", encrypted")
    opened = _opened(inner, request, tmp_path)
    return SealedStore(opened, keys()) if encrypted else opened


def _opened(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    service, _, fails = kind.partition(" that ")
    if service == "directory":
        return DirectoryStore(tmp_path / "archive")
    open_store, server, proxy = map(request.getfixturevalue, SERVICES[service])
    if not fails:
        return open_store(server.endpoint)
    proxy.follow(at_random(seed=7, faults=FAULTS, share=0.15))
    return open_store(proxy.endpoint, Retrying(clock=SteppedClock(), total_seconds=math.inf))


def together(count: int, work: Callable[[int], object]) -> list[object]:
    """Return what *work* returns, or raises, in each of *count* threads that begin at the same moment."""
    start = threading.Barrier(count)

    def begin(number: int) -> object:
        start.wait()
        try:
            return work(number)
        except Exception as error:  # noqa: BLE001 (the result)
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


@pytest.mark.parametrize("size_bytes", [0, 1, 5_000_000])
def test_an_object_comes_back_as_it_was(store: ObjectStore, size_bytes: int) -> None:
    body = random.Random(1).randbytes(size_bytes)
    store.create("e00000001/log/1", body)
    assert body == store.get("e00000001/log/1")


def test_creating_the_same_bytes_again_is_success(store: ObjectStore) -> None:
    store.create("a", b"first")
    store.create("a", b"first")
    assert store.get("a") == b"first"


@pytest.mark.parametrize("other", [b"other", b"", b"first "])
def test_a_taken_name_keeps_its_object(store: ObjectStore, other: bytes) -> None:
    store.create("a", b"first")
    with pytest.raises(ObjectExists):
        store.create("a", other)
    assert store.get("a") == b"first"


def test_of_many_creators_one_wins(store: ObjectStore) -> None:
    outcomes = together(8, lambda number: store.create("e00000001/log/1", b"%d" % number))
    winners = [number for number, outcome in enumerate(outcomes) if outcome is None]
    losers = [outcome for outcome in outcomes if isinstance(outcome, ObjectExists)]
    assert (len(winners), len(losers)) == (1, 7)
    assert store.get("e00000001/log/1") == b"%d" % winners[0]


def test_creators_of_the_same_bytes_all_win(store: ObjectStore) -> None:
    assert together(8, lambda _: store.create("a/b", b"same")) == [None] * 8


def test_a_missing_object(store: ObjectStore) -> None:
    for name in ("a", "a/b"):
        with pytest.raises(ObjectMissing):
            store.get(name)


def test_an_empty_store_has_no_names(store: ObjectStore) -> None:
    assert list(store.names("")) == []


def test_names_are_those_that_a_sorted_list_gives(store: ObjectStore) -> None:
    for name in random.Random(2).sample(NAMES, len(NAMES)):
        store.create(name, b"")
    prefixes = ["", "", "e", "e00000001", "e00000001/", "e00000001/log/", "e00000001/log/0", "z/"]
    starts = ["", "e00000001-", "e00000001/log", "e00000001/m", "zz", *NAMES]
    for prefix, after in random.Random(3).sample(list(itertools.product(prefixes, starts)), 40):
        expected = [name for name in NAMES if name.startswith(prefix) and name > after]
        assert expected == list(store.names(prefix, after)), (prefix, after)


def test_every_name_reads_back(store: ObjectStore) -> None:
    for name in NAMES:
        store.create(name, name.encode())
    assert [name.encode() for name in NAMES] == [store.get(name) for name in NAMES]


def test_a_deleted_object_is_gone_and_its_name_free(store: ObjectStore) -> None:
    store.create("a/b", b"first")
    store.delete("a/b")
    store.delete("a/b")
    with pytest.raises(ObjectMissing):
        store.get("a/b")
    assert list(store.names("")) == []
    store.create("a/b", b"second")
    assert store.get("a/b") == b"second"


def test_deleting_what_never_was_is_no_error(store: ObjectStore) -> None:
    store.delete("a")
    store.delete("a/b")


def test_replace_begins_with_no_object(store: ObjectStore) -> None:
    store.replace("checkpoint.json", None, b"1")
    with pytest.raises(ObjectChanged):
        store.replace("checkpoint.json", None, b"2")
    assert store.get("checkpoint.json") == b"1"


def test_replace_swaps_what_it_was_told_to(store: ObjectStore) -> None:
    store.create("checkpoint.json", b"1")
    store.replace("checkpoint.json", b"1", b"22")
    store.replace("checkpoint.json", b"22", b"3")
    assert store.get("checkpoint.json") == b"3"


def test_replace_leaves_other_bytes(store: ObjectStore) -> None:
    store.create("checkpoint.json", b"1")
    with pytest.raises(ObjectChanged):
        store.replace("checkpoint.json", b"0", b"2")
    assert store.get("checkpoint.json") == b"1"


def test_replace_makes_no_object_of_a_missing_one(store: ObjectStore) -> None:
    with pytest.raises(ObjectChanged):
        store.replace("checkpoint.json", b"1", b"2")
    assert list(store.names("")) == []


def test_counting_together_loses_no_count(store: ObjectStore, request: pytest.FixtureRequest) -> None:
    """Each writer's bytes are its own, as an unanswered swap takes them to be.

    A swap that won, lost its answer and was overtaken before it looked again ends in ObjectChanged: it
    counts, and is counted again.
    """
    store.create("counter", b"0")

    def count(number: int) -> None:
        for _ in range(2):
            while True:
                old = store.get("counter")
                try:
                    store.replace("counter", old, b"%d by %d" % (int(old.split()[0]) + 1, number))
                    break
                except ObjectChanged:
                    continue

    assert together(8, count) == [None] * 8
    total = int(store.get("counter").split()[0])
    assert total >= 16 if "fails" in request.node.name else total == 16


def test_a_document_that_is_none_is_not_read_into_memory(store: ObjectStore) -> None:
    store.create("e00000001/epoch.json", bytes(DOCUMENT_BYTES + 1))
    store.create("e00000001/log/1.jsonl.zst", bytes(DOCUMENT_BYTES + 1))
    with pytest.raises(ArchiveDamaged, match=r"e00000001/epoch\.json is damaged: a document is at most"):
        store.get("e00000001/epoch.json")
    assert len(store.get("e00000001/log/1.jsonl.zst")) == DOCUMENT_BYTES + 1


NOT_NAMES = [
    *(
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../../b",
        ".tmp/a",
        ".lock",
        "a\\b",
        "a\0",
        "a b",
        "\u00e4",
        "a\n",
    ),
    "a" * 201,
]


def test_a_name_that_is_none_is_a_bug(store: ObjectStore) -> None:
    for name in NOT_NAMES:
        for call in (
            lambda name: store.create(name, b""),
            store.get,
            store.delete,
            lambda name: store.replace(name, None, b""),
        ):
            with pytest.raises(ValueError, match="not an object name"):
                call(name)
