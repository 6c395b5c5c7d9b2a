"""Housekeeping: in the background, when it is due, and never fatal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from archives import Scribe, quiet_log
from etcd_model import EtcdModel
from generators import START, stamped
from memory_store import MemoryStore
from servers.clock import SteppedClock

from replicator.core.records import Batch
from replicator.core.retention import RetentionRule
from replicator.errors import StoreUnavailable
from replicator.flows.housekeeping import Housekeeping, HousekeepingRules
from replicator.flows.merge import MergeRules
from replicator.flows.open_archive import log, merged

SEGMENTS = 40


@pytest.fixture
def scribe() -> Scribe:
    """Return a scribe that has written a change and a snapshot each hour."""
    scribe, etcd = Scribe(MemoryStore()), EtcdModel()
    scribe.open(etcd, START)
    for _ in range(SEGMENTS):
        etcd.put(b"/apisix/a", b"x")
    for place, batch in enumerate(stamped(etcd.history), 1):
        scribe.append([Batch(batch.revision, START + timedelta(hours=place), batch.events)])
        scribe.snapshot()
    return scribe


class Kept:
    """Housekeeping under test, with its clock and its log."""

    def __init__(self, store: MemoryStore, rules: HousekeepingRules | None = None) -> None:
        self.clock = SteppedClock()
        bound, self.said = quiet_log()
        self.work = Housekeeping(store, rules or HousekeepingRules(), self.clock, bound)  # type: ignore[arg-type]

    def consider(self, snapshot: int, stored: int = 1 + SEGMENTS) -> None:
        """Consider, and wait for what was begun."""
        self.work.consider(1, stored, snapshot)
        self.work.finish()

    @property
    def events(self) -> list[str]:
        """What it said."""
        return [entry["event"] for entry in self.said.entries]


def test_it_merges_each_ten_minutes_what_new_snapshots_have_closed(scribe) -> None:
    kept = Kept(scribe.store)
    kept.consider(snapshot=21)
    assert [name.last - name.after for name in merged(scribe.store, 1)] == [20]
    kept.consider(snapshot=41)
    assert len(list(merged(scribe.store, 1))) == 1
    kept.clock.sleep(600)
    kept.consider(snapshot=41)
    assert 41 in [name.last for name in merged(scribe.store, 1)]
    assert len(list(log(scribe.store, 1))) == SEGMENTS
    kept.clock.sleep(3600)
    kept.consider(snapshot=41)
    assert list(log(scribe.store, 1)) == []
    assert kept.events == ["segments.merged", "segments.merged", "sources.deleted"]


def test_it_leaves_what_the_spool_has_and_the_store_hasnt(scribe) -> None:
    kept = Kept(scribe.store)
    kept.consider(snapshot=41, stored=21)
    assert [name.last for name in merged(scribe.store, 1)] == [21]


def test_it_lists_nothing_while_nothing_is_due(scribe) -> None:
    kept = Kept(scribe.store, HousekeepingRules(merge=MergeRules(grace=timedelta(0))))
    kept.consider(snapshot=41)
    scribe.store.names = None  # type: ignore[assignment, method-assign]
    kept.consider(snapshot=41)
    kept.clock.sleep(86_400 * 30)
    kept.consider(snapshot=41)
    assert "housekeeping.missed" not in kept.events


def test_it_thins_once_a_day_if_a_rule_is_set(scribe) -> None:
    kept = Kept(scribe.store, HousekeepingRules(retention=RetentionRule(timedelta(hours=5))))
    kept.consider(snapshot=41)
    assert "archive.thinned" not in kept.events
    kept.clock.sleep(2 * 86_400)
    for _ in range(3):
        kept.consider(snapshot=41)
        kept.clock.sleep(3600)
    assert kept.events.count("archive.thinned") == 1


def test_a_store_that_is_away_is_told_and_asked_again_later(scribe) -> None:
    kept, names = Kept(scribe.store), scribe.store.names

    def away(prefix: str, after: str = "") -> list[str]:
        raise StoreUnavailable(f"{prefix}{after}: away")

    scribe.store.names = away  # type: ignore[method-assign, assignment]
    kept.consider(snapshot=41)
    scribe.store.names = names  # type: ignore[method-assign]
    kept.consider(snapshot=41)
    assert kept.events == ["housekeeping.missed"]
    kept.clock.sleep(600)
    kept.consider(snapshot=41)
    assert kept.events[1:] == ["segments.merged"]
