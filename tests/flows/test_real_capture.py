"""Captures of a real etcd that is killed, compacted and rebuilt; and `--at` against known commit times."""

from __future__ import annotations

import random
import shutil
import statistics
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from captures import batches, capturing
from etcd_oracle import held
from memory_store import MemoryStore
from servers.etcd_json import EtcdJson

from replicator.adapters.clock import SystemClock
from replicator.adapters.etcd import EtcdOptions, EtcdSource
from replicator.core.plan import AtRevision, AtTime
from replicator.errors import TargetNotRestorable
from replicator.flows.inbox import GroupCommit
from replicator.flows.open_archive import open_archive
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from servers.etcd import Etcd

    from replicator.ports import Delivery

PREFIX = b"/apisix"


def source_of(etcd: Etcd) -> EtcdSource:
    """Return a source of the prefix."""
    return EtcdSource(EtcdOptions((etcd.endpoint,)), PREFIX, SystemClock())


def put(etcd: Etcd, value: str) -> int:
    """Put a key; return the revision."""
    with EtcdJson(etcd.endpoint) as client:
        return client.put("/apisix/a", value)


def check(etcd: Etcd, store: MemoryStore, revision: int) -> None:
    """Check that *revision* restores as etcd held it."""
    with EtcdJson(etcd.endpoint) as client:
        assert held(client, PREFIX, revision) == dict(restore(store, AtRevision(revision)).state.items())


def reasons(store: MemoryStore) -> list[str]:
    """Return why each epoch was opened."""
    return [epoch.reason for epoch in open_archive(store).epochs]


def test_a_killed_etcd_is_waited_for_and_followed_on(etcd_factory) -> None:
    etcd, store = etcd_factory(), MemoryStore()
    put(etcd, "1")
    with capturing(source_of(etcd), store) as running:
        running.stores(put(etcd, "2"))
        etcd.kill()
        running.tells("watch.lost")
        etcd.start()
        put(etcd, "3")
        running.stores(put(etcd, "4"))
        etcd.restart()
        running.stores(put(etcd, "5"))
    assert reasons(store) == ["first"]
    for revision in range(2, 7):
        check(etcd, store, revision)


def test_a_suspended_etcd_is_waited_for(etcd) -> None:
    store = MemoryStore()
    put(etcd, "1")
    with capturing(source_of(etcd), store) as running:
        running.stores(put(etcd, "2"))
        etcd.suspend()
        running.tells("watch.lost")
        etcd.resume()
        running.stores(put(etcd, "3"))
    assert reasons(store) == ["first"]
    check(etcd, store, 4)


def test_a_compaction_past_the_cursor_while_nobody_watches_opens_an_epoch(etcd) -> None:
    store = MemoryStore()
    put(etcd, "1")
    with capturing(source_of(etcd), store) as running:
        running.stores(put(etcd, "2"))
    put(etcd, "unseen")
    revision = put(etcd, "seen again")
    with EtcdJson(etcd.endpoint) as client:
        client.compact(revision)
    with capturing(source_of(etcd), store) as running:
        running.tells("epoch.opened")
        running.stores(put(etcd, "new"))
    assert reasons(store) == ["first", "compacted"]
    with pytest.raises(TargetNotRestorable, match="gap"):
        restore(store, AtRevision(revision - 1))
    for known in (revision, revision + 1):
        check(etcd, store, known)


def test_what_etcd_still_holds_behind_a_compaction_is_recorded_one_by_one(etcd) -> None:
    store = MemoryStore()
    put(etcd, "1")
    with capturing(source_of(etcd), store) as running:
        running.stores(put(etcd, "2"))
    with EtcdJson(etcd.endpoint) as client:
        revisions = [client.put("/apisix/a", value) for value in ("lost", "oldest", "next", "newest")]
        client.compact(revisions[1])
    with capturing(source_of(etcd), store) as running:
        running.stores(revisions[-1])
    assert reasons(store) == ["first", "compacted"]
    second = open_archive(store).epochs[1]
    assert second.base == revisions[1]
    with pytest.raises(TargetNotRestorable, match="gap"):
        restore(store, AtRevision(revisions[0]))
    for revision in revisions[1:]:
        check(etcd, store, revision)
        late_by = restore(store, AtRevision(revision)).late_by
        assert late_by >= second.observed_at - known_in_first(store)  # it happened at any time since


def test_a_compaction_of_what_was_recorded_changes_nothing(etcd) -> None:
    store = MemoryStore()
    put(etcd, "1")
    with capturing(source_of(etcd), store) as running:
        running.stores(put(etcd, "2"))
    revision = put(etcd, "3")
    with EtcdJson(etcd.endpoint) as client:
        client.compact(revision - 1)
    with capturing(source_of(etcd), store) as running:
        running.stores(revision)
    assert reasons(store) == ["first"]


@pytest.mark.parametrize(("puts", "reason"), [(1, "rewound"), (5, "diverged")])
@pytest.mark.parametrize("is_watched", [True, False], ids=["while it watches", "while it is down"])
def test_a_rebuilt_etcd_opens_an_epoch(etcd_factory, puts, reason, is_watched) -> None:
    """Its cluster id is the same: only its revisions, or what it held at ours, give it away."""
    etcd, store = etcd_factory("--unsafe-no-fsync"), MemoryStore()
    put(etcd, "1")
    with capturing(source_of(etcd), store) as running:
        for value in ("2", "3"):
            running.stores(put(etcd, value))
        if not is_watched:
            running.stop()
        etcd.stop()
        shutil.rmtree(etcd.log.parent / "data")
        if is_watched:
            running.tells("watch.lost")
        etcd.start()
        base = [put(etcd, f"another {number}") for number in range(puts)][-1]
        if is_watched and puts > 1:
            running.tells("epoch.opened", 2)
    with capturing(source_of(etcd), store) as running:
        running.stores(put(etcd, "new"))
    said = reasons(store)
    assert said[0] == "first"
    assert len(said) == 2
    assert said[1] in ({reason} if not is_watched else {"rewound", "diverged"})
    check(etcd, store, base + 1)
    assert [record.value for _, record in restore(store, AtTime(known_in_first(store))).state.items()] == [
        b"3"
    ]


@pytest.mark.parametrize(("puts", "reason"), [(0, "rewound"), (3, "diverged")])
def test_a_restored_snapshot_of_etcd_opens_an_epoch(etcd_factory, tmp_path, puts, reason) -> None:
    """`etcdctl snapshot save`, later `etcdutl snapshot restore` into the same place: the same ids."""
    etcd, store, saved = etcd_factory("--unsafe-no-fsync"), MemoryStore(), tmp_path / "saved.db"
    put(etcd, "1")
    with capturing(source_of(etcd), store) as running:
        running.stores(put(etcd, "2"))
        etcd.ctl("snapshot", "save", str(saved))
        lost = put(etcd, "3")
        running.stores(lost)
    etcd.stop()
    etcd.restore(saved)
    etcd.start()
    for number in range(puts):
        put(etcd, f"another {number}")
    with capturing(source_of(etcd), store) as running:
        running.stores(put(etcd, "new"))
    first, second = open_archive(store).epochs
    assert (first.cluster_id, reason) == (second.cluster_id, second.reason)
    assert restore(store, AtTime(known_in_first(store))).state.revision == lost
    check(etcd, store, second.base + 1)


def known_in_first(store: MemoryStore) -> datetime:
    """Return the last moment that is known of the first epoch."""
    follows = open_archive(store).epochs[1].follows
    assert follows is not None
    return follows.observed_through


class HeardSource(EtcdSource):
    """Notes how far its watch has come."""

    heard = 0

    def watch(self, after: int) -> Iterator[Delivery]:
        """Do so."""
        for delivery in super().watch(after):
            yield delivery
            if delivery.revisions:
                self.heard = delivery.revisions[-1][0]


PAUSE = timedelta(milliseconds=20)


def test_a_moment_picks_the_state_that_the_table_of_commits_says(etcd) -> None:
    """A thousand changes, each committed between two known moments.

    After every twentieth comes a pause of at least 20 ms, and until the watch has heard of it: between two
    such commits every moment must give exactly the state between them. Among the others, committed one upon
    another, a moment never gives a later one, nor one that is older than the watch's own delay.
    """
    clock, chance = SystemClock(), random.Random(7)
    store, source = MemoryStore(), HeardSource(EtcdOptions((etcd.endpoint,)), PREFIX, SystemClock())
    table: list[tuple[datetime, int, datetime]] = []  # begun, revision, acknowledged
    with EtcdJson(etcd.endpoint) as client, capturing(source, store, GroupCommit(0.05, 1 << 20)) as running:
        for number in range(1, 1001):
            begun = clock.now()
            revision = client.put(f"/apisix/{number % 9}", f"{number}")
            table.append((begun, revision, clock.now()))
            while number % 20 == 0 and (source.heard < revision or clock.now() < table[-1][2] + PAUSE):
                time.sleep(0.001)
        running.stores(table[-1][1])

    stamps = {batch.revision: batch.observed_at for batch in batches(store)}
    delays = [stamps[revision] - acknowledged for _, revision, acknowledged in table]
    assert statistics.median(delays) < PAUSE
    slowest = max(delays)
    for (_, revision, acknowledged), (next_begun, _, _) in zip(table[19::20], table[20::20], strict=False):
        inside = stamps[revision] + (next_begun - stamps[revision]) * chance.random()
        assert stamps[revision] < next_begun
        assert acknowledged - timedelta(seconds=1) < stamps[revision]
        for moment in (stamps[revision], inside, next_begun):
            restored = restore(store, AtTime(moment))
            assert (revision, timedelta(0)) == (restored.state.revision, restored.late_by)
        before = restore(store, AtTime(stamps[revision], exclusive=True))
        assert before.state.revision == revision - 1
    for place in chance.sample(range(20, 1000), 100):
        moment = table[place][0]
        at_least = max(revision for _, revision, done in table if done + slowest <= moment)
        assert at_least <= restore(store, AtTime(moment)).state.revision <= table[place - 1][1]
