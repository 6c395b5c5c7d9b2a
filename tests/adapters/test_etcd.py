"""The etcd adapter against real servers: what it reads and hears, and what it says where it can't."""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from etcd_oracle import held, transact
from etcd_sources import PREFIX, Listener, listening, source_of
from generators import keys
from hypothesis import given
from servers.command import until
from servers.etcd_json import EtcdJson

from replicator.adapters import etcd_connection, etcd_lanes, etcd_watch
from replicator.adapters.clock import SystemClock
from replicator.adapters.etcd import end_of
from replicator.adapters.etcd_connection import Connection
from replicator.adapters.etcd_watch import Watch, answers_progress_truly
from replicator.core.stamp import Stamper
from replicator.core.state import State
from replicator.errors import Compacted, SourceUnavailable

if TYPE_CHECKING:
    from datetime import datetime

    from replicator.adapters.etcd import EtcdSource
    from replicator.core.stamp import Unstamped
    from replicator.ports import Delivery


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for progress ten times as often as in production."""
    monkeypatch.setattr(etcd_watch, "_PROGRESS_S", 0.1)


@given(keys, keys)
def test_a_prefix_ends_where_the_next_one_begins(prefix, key) -> None:
    end = end_of(prefix)
    assert key.startswith(prefix) == (prefix <= key and (key < end or end == b"\0"))


def test_the_status_is_what_etcd_says_of_itself(source, client) -> None:
    revision = client.put("/elsewhere", "1")
    status = source.status()
    assert (revision, True) == (status.head, status.tells_progress)
    assert int(status.cluster_id, 16) == int(client.ask("maintenance/status")["header"]["cluster_id"])
    assert client.ask("maintenance/status")["version"] == status.version


def test_all_pages_are_read_at_one_revision_under_writes(source, client, etcd) -> None:
    for page in range(0, 4500, 125):
        transact(
            client, [(b"/apisix/%05d" % number, b"\xff%d" % number, 0) for number in range(page, page + 125)]
        )
    revision = client.put(b"/apisix", b"the shortest key")
    client.put(b"/apisiy", b"the first key after")
    stopping = threading.Event()

    def write() -> None:
        with EtcdJson(etcd.endpoint) as other:
            while not stopping.is_set():
                other.delete(b"/apisix/00", b"/apisix/01")
                transact(other, [(b"/apisix/%05d" % secrets.randbelow(4600), b"new", 0)])

    writing = threading.Thread(target=write)
    writing.start()
    try:
        until(lambda: source.status().head > revision + 5, "the writer has begun")
        read = list(source.read(revision))
        assert source.status().head > revision + 5
    finally:
        stopping.set()
        writing.join()
    assert sorted(held(client, PREFIX, revision).items()) == read
    assert len(read) == 4501


def pages_of(source: EtcdSource, revision: int, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Read *revision* whole; return the sizes of the values on each page."""
    pages, asked = [], Connection.range

    def noted(*arguments: Any, **request: Any) -> Any:
        page = asked(*arguments, **request)
        pages.append([len(kv.value) for kv in page.kvs])
        return page

    monkeypatch.setattr(Connection, "range", noted)
    read = [len(record.value) for _, record in source.read(revision)]
    assert read == [size for page in pages for size in page]
    return pages


def test_pages_grow_with_small_values_and_shrink_with_large_ones(source, client, monkeypatch) -> None:
    for page in range(0, 1500, 125):
        transact(client, [(b"/apisix/a%05d" % number, b"", 0) for number in range(page, page + 125)])
    for number in range(20):
        revision = client.put(b"/apisix/b%02d" % number, b"x" * 1_000_000)
    sizes = pages_of(source, revision, monkeypatch)
    assert [len(page) for page in sizes[:2]] == [100, 400]
    first_large = next(number for number, page in enumerate(sizes) if max(page, default=0) > 0)
    assert all(sum(page) < 5 << 20 for page in sizes[first_large + 1 :])


def test_a_page_that_is_more_than_can_be_sent_is_asked_for_in_parts(etcd, client, monkeypatch) -> None:
    limited = [
        (name, 4 << 20 if "max_receive" in name else value) for name, value in etcd_connection._CHANNEL
    ]
    monkeypatch.setattr(etcd_connection, "_CHANNEL", tuple(limited))
    source = source_of(etcd.endpoint)
    source.status()
    for number in range(20):
        revision = client.put(b"/apisix/%02d" % number, b"x" * 1_000_000)
    sizes = pages_of(source, revision, monkeypatch)
    assert len(sizes) > 4
    client.put(b"/apisix/99", b"x" * 1_500_000)
    monkeypatch.setattr(
        etcd_connection,
        "_CHANNEL",
        tuple((name, 1 << 20 if "max_receive" in name else value) for name, value in limited),
    )
    source.status()
    with pytest.raises(SourceUnavailable, match="larger than max"):
        list(source.read(revision + 1))


def test_a_compacted_revision_is_told(source, client) -> None:
    first, second = client.put("/apisix/a", "1"), client.put("/apisix/a", "2")
    client.compact(second)
    assert [(key, record.value) for key, record in source.read(second)] == [(b"/apisix/a", b"2")]
    with pytest.raises(Compacted):
        list(source.read(first))
    with pytest.raises(Compacted):
        list(source.watch(first))
    with listening(source, second) as listener:
        listener.hears(client.put("/apisix/a", "3"))


def test_a_future_revision_is_an_error_and_no_compaction(source) -> None:
    with pytest.raises(SourceUnavailable, match="future revision"):
        list(source.read(999))


def test_a_neighbour_is_any_key_at_all(source, client) -> None:
    assert source.neighbour() is None
    client.put("/elsewhere", "1")
    assert source.neighbour() == b"/elsewhere"


def test_the_watch_replays_to_etcds_own_state_at_every_revision(source, client) -> None:
    lease = client.grant(600)
    with listening(source, 1) as listener:
        client.put("/apisix/a", b"\x00\xff")
        client.put("/elsewhere", b"unseen")
        transact(
            client, [(b"/apisix/%d" % number, b"%d" % number, lease * (number % 2)) for number in range(128)]
        )
        client.put("/apisix/\xff", b"")
        client.delete(b"/apisix/1", b"/apisix/2")
        transact(client, [(b"/apisix/3", None, 0), (b"/apisix/4", b"4", 0), (b"/elsewhere", None, 0)])
        client.ask("lease/revoke", ID=lease)
        client.put("/apisix/1", b"back again")
        listener.hears(client.put("/apisix/a", b"x" * 1_500_000))
    state = State(1)
    for batch in Stamper(SystemClock().now()).live(delivered(listener), SystemClock().now()):
        state.apply(batch)
        assert sorted(held(client, PREFIX, batch.revision).items()) == list(state.items())
    assert listener.revisions() == [2, 4, 5, 6, 7, 8, 9, 10]


def delivered(listener: Listener) -> list[Unstamped]:
    """Return all revisions with their events."""
    return [revision for delivery in listener.deliveries for revision in delivery.revisions]


def test_a_revision_of_many_fragments_is_delivered_whole(etcd_factory, monkeypatch) -> None:
    """Etcd cuts at its limit for requests, so that one which took larger ones before must cut."""
    fragments = []
    whole = etcd_lanes._whole_revisions

    def noted(events: list[Any], *, more: bool) -> Any:
        fragments.append(more)
        return whole(events, more=more)

    monkeypatch.setattr(etcd_lanes, "_whole_revisions", noted)
    server = etcd_factory("--max-request-bytes=33554432")
    large = [(b"/apisix/%02d" % number, secrets.token_bytes(1_400_000), 0) for number in range(10)]
    with EtcdJson(server.endpoint) as client:
        client.put("/apisix/before", "1")
        transact(client, large)
        client.put("/apisix/after", "1")
    server._flags = ()
    server.restart()
    source = source_of(server.endpoint)
    source.status()
    with listening(source, 1) as listener:
        listener.hears(4)
    assert listener.revisions() == [2, 3, 4]
    events = dict(delivered(listener))[3]
    assert [(key, value) for key, value, _ in large] == [(event.key, event.record.value) for event in events]
    assert sum(fragments) > 2


def test_a_catch_up_of_many_revisions_comes_in_order_and_once(source, client) -> None:
    for number in range(1500):
        client.put(f"/apisix/{number % 7}", str(number))
    with listening(source, 400) as listener:
        listener.hears(1501)
    assert list(range(401, 1502)) == listener.revisions()


def test_bookmarks_tell_that_nothing_happened(source, client) -> None:
    with listening(source, 1) as listener:
        revision = client.put("/elsewhere", "1")
        listener.hears(revision)
        revision = client.put("/elsewhere", "2")
        listener.hears(revision)
    assert listener.revisions() == []


def test_a_bookmark_that_is_read_late_claims_no_more_than_it_knew(source, etcd) -> None:
    """It has waited with the events before it in our own buffers: its moment is etcd's, not the reader's."""
    clock = SystemClock()
    commits: list[tuple[datetime, int]] = []
    bookmarks: list[Delivery] = []
    stopping = threading.Event()

    def write() -> None:
        with EtcdJson(etcd.endpoint) as client:
            while not stopping.is_set():
                revision = client.put(b"/apisix/a", b"1")
                commits.append((clock.now(), revision))

    writing = threading.Thread(target=write)
    writing.start()
    try:
        watch = source.watch(1)
        next(watch)
        while len(bookmarks) < 4:
            before = len(commits)
            until(lambda: len(commits) > before + 200, "the writer goes on")  # noqa: B023 (called at once)
            bookmarks.append(next(delivery for delivery in watch if delivery.through is not None))
    finally:
        stopping.set()
        writing.join()
    for bookmark in bookmarks:
        known = [revision for moment, revision in commits if moment < bookmark.at]
        assert max(known, default=0) <= bookmark.through


def test_an_interrupt_ends_the_watch_at_once(source) -> None:
    with listening(source, 1) as listener:
        listener.hears(1)
        began = time.monotonic()
    assert time.monotonic() - began < 3
    assert listener.failure is None


@pytest.mark.parametrize("number", range(10))
def test_what_was_committed_before_an_interrupt_is_delivered(number, source, client) -> None:
    with listening(source, 1) as listener:
        listener.hears(1)
        for _ in range(number):
            client.put("/apisix/routes/1", "1")
        last = client.put("/elsewhere", "1")
    assert len(listener.revisions()) == number
    assert listener.reached() >= last


def test_after_an_interrupt_no_watch_begins(source) -> None:
    source.interrupt()
    assert list(source.watch(1)) == []


def test_a_watch_that_is_to_finish_before_it_begins_ends_too(source, client) -> None:
    client.put("/apisix/routes/1", "1")
    watch = Watch(source._connection, (PREFIX, end_of(PREFIX)), SystemClock(), asks=True)
    watch.begin(1)
    watch.finish()
    assert [revision for delivery in watch.deliveries(1) for revision, _ in delivery.revisions] == [2]


@pytest.mark.parametrize(
    ("version", "truly"),
    [
        ("3.4.24", False),
        ("3.4.25", True),
        ("3.5.0", False),
        ("3.5.7", False),
        ("3.5.8", True),
        ("3.5.16", True),
        ("3.6.0-rc.1", True),
        ("4.0.0", True),
        ("3.3.27", False),
        ("", False),
    ],
)
def test_only_versions_that_tell_the_truth_are_asked_for_progress(version, truly) -> None:
    assert truly == answers_progress_truly(version)
