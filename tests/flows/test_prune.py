"""Retention: what is to stay gives the same before and after, all else is refused; interrupted or not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from answers import answers, targets
from archives import TICK, Scribe, archives
from etcd_model import EtcdModel
from generators import START, stamped
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import DyingStore, MemoryStore
from servers.clock import SteppedClock

from replicator.core.merging import Limits
from replicator.core.plan import AtRevision, AtTime, Latest, Target
from replicator.core.records import Batch
from replicator.core.retention import RetentionRule
from replicator.errors import StoreUnavailable, TargetNotRestorable, UsageError
from replicator.flows.compact import compact
from replicator.flows.merge import MergeRules
from replicator.flows.open_archive import open_archive, snapshots
from replicator.flows.points import add_point, list_points, read_point, remove_point, target_of
from replicator.flows.prune import plan_pruning, prune
from replicator.flows.restore import restore
from replicator.flows.survey import survey

if TYPE_CHECKING:
    from datetime import datetime

    from replicator.core.names import SnapshotName

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AT_ONCE = MergeRules(grace=timedelta(0), limits=Limits(segments=4))
long_pauses = st.sampled_from([TICK, 3 * HOUR, 25 * HOUR])
rules = st.tuples(
    st.sampled_from([timedelta(0), 5 * HOUR, 2 * DAY, 5 * DAY, 30 * DAY]),
    st.sampled_from([None, timedelta(0), 2 * DAY, 5 * DAY, 60 * DAY]),
).map(lambda pair: RetentionRule(pair[0], pair[1] and pair[0] + pair[1]))


def late_clock() -> SteppedClock:
    """Return a clock that is years ahead of every archive here."""
    clock = SteppedClock()
    clock.sleep(1e9)
    return clock


def pruned(store: MemoryStore, rule: RetentionRule) -> list[str]:
    """Prune *store*; return what went."""
    return prune(store, rule, late_clock(), plan_pruning(store, rule, late_clock()))


@dataclass
class Promise:
    """What must be restorable after a pruning, and how it was before."""

    wanted: list[Target]
    before: dict[str, tuple[object, ...] | None]
    stays: set[str]

    def check(self, store: MemoryStore) -> int:
        """Compare; return how many targets are refused that weren't."""
        after = answers(store, self.wanted)
        lost = {name for name, answer in after.items() if answer is None and self.before[name] is not None}
        assert not lost & self.stays
        assert {name: answer for name, answer in after.items() if answer is not None} == {
            name: self.before[name] for name, answer in after.items() if answer is not None
        }
        return len(lost)


def promise(scribe: Scribe, rule: RetentionRule, extra: list[Target]) -> Promise:
    """Return what *rule* promises of what *scribe* wrote, and of the targets *extra*."""
    now = plan_pruning(scribe.store, rule, late_clock()).now
    daily = list(daily_targets(scribe, rule, now))
    wanted = [*targets(scribe.known), *daily, *extra]
    recent = {
        str(AtRevision(revision, known.number))
        for known in scribe.known
        for revision, stamp in known.stamps
        if stamp >= now - rule.full
    }
    wanted += [AtRevision(r, known.number) for known in scribe.known for r, _ in known.stamps]
    stays = recent | {
        str(target)
        for target in wanted
        if isinstance(target, Latest)
        or (isinstance(target, AtTime) and target.moment - TICK >= now - rule.full)
    }
    return Promise(
        wanted, answers(scribe.store, wanted), stays | {str(target) for target in [*daily, *extra]}
    )


def daily_targets(scribe: Scribe, rule: RetentionRule, now: datetime) -> list[Target]:
    """Return the last snapshot of each day that *rule* keeps."""
    if rule.daily is None:
        return []
    last: dict[object, SnapshotName] = {}
    for known, epoch in zip(scribe.known, open_archive(scribe.store).epochs, strict=True):
        for name in snapshots(scribe.store, epoch):
            assert name.epoch == known.number
            last[name.observed_at.date()] = name
    kept = [name for name in last.values() if name.observed_at >= now - rule.daily]
    return [AtRevision(name.revision, name.epoch) for name in kept]


def points_at_random(scribe: Scribe, data) -> list[Target]:
    """Give names to up to three moments; return what restores them."""
    stamps = [(known.number, revision) for known in scribe.known for revision, _ in known.stamps]
    chosen = data.draw(st.lists(st.sampled_from(stamps), max_size=3, unique=True))
    for place, (epoch, revision) in enumerate(chosen):
        add_point(scribe.store, f"p{place}", AtRevision(revision, epoch), "", late_clock())
    return [AtRevision(revision, epoch) for epoch, revision in chosen]


@settings(max_examples=40, deadline=None)
@given(archives(long_pauses), rules, st.booleans(), st.data())
def test_what_is_to_stay_gives_the_same_and_all_else_is_refused(scribe, rule, is_merged, data) -> None:
    points = points_at_random(scribe, data)
    promised = promise(scribe, rule, points)
    if is_merged:
        compact(scribe.store, AT_ONCE, SteppedClock())
    pruned(scribe.store, rule)
    promised.check(scribe.store)
    assert pruned(scribe.store, rule) == []
    compact(scribe.store, AT_ONCE, late_clock())
    promised.check(scribe.store)
    for coverage in survey(scribe.store).coverage:
        for name in coverage.snapshots:
            assert (
                restore(scribe.store, AtRevision(name.revision, name.epoch)).state.revision == name.revision
            )
        if coverage.first is not None:
            restore(scribe.store, AtTime(coverage.first.observed_at))
            restore(scribe.store, AtTime(coverage.reach.observed_through))


@settings(max_examples=30, deadline=None)
@given(archives(long_pauses), rules, st.data())
def test_interrupted_at_any_call_of_the_store_nothing_is_wrong(scribe, rule, data) -> None:
    """The process dies before or after the n-th call, for each n; another one takes up what it left."""
    points = points_at_random(scribe, data)
    if data.draw(st.booleans()):
        compact(scribe.store, AT_ONCE, SteppedClock())
    promised = promise(scribe, rule, points)
    promised.wanted = data.draw(st.lists(st.sampled_from(promised.wanted), min_size=6, max_size=6)) + points
    calls, is_dead = 0, True
    while is_dead:
        for is_done in (False, True):
            store = DyingStore(scribe.store.objects, calls, is_done=is_done)
            try:
                pruned(store, rule)
                is_dead = False
            except StoreUnavailable:
                is_dead = True
            if store.has_changed:
                again = store.left()
                promised.check(again)
                pruned(again, rule)
                promised.check(again)
        calls += 1


def days(count: int) -> Scribe:
    """Return a scribe that has written two changes and a snapshot each day for *count* days."""
    scribe, etcd = Scribe(MemoryStore()), EtcdModel()
    scribe.open(etcd, START)
    for _ in range(2 * count):
        etcd.put(b"/apisix/a", b"%d" % etcd.head)
    for place, batch in enumerate(stamped(etcd.history)):
        scribe.append([Batch(batch.revision, START + 12 * HOUR * place + HOUR, batch.events)])
        if place % 2:
            scribe.snapshot()
    return scribe


def test_a_thinned_moment_is_refused_with_the_nearest_kept_ones() -> None:
    scribe = days(10)
    pruned(scribe.store, RetentionRule(2 * DAY, 5 * DAY))
    with pytest.raises(TargetNotRestorable, match="was thinned by retention") as caught:
        restore(scribe.store, AtRevision(14))
    page = (Path(__file__).parents[2] / "docs/time.md").read_text(encoding="utf-8")
    assert f"replicator: {caught.value}\n  try: {caught.value.hint}\n" in page
    with pytest.raises(TargetNotRestorable, match="was thinned by retention") as caught:
        restore(scribe.store, AtRevision(2))
    assert "revision 11 at 2026-01-05T13:00:00" in caught.value.hint
    (coverage,) = survey(scribe.store).coverage
    assert [name.revision for name in coverage.kept] == [11, 13, 15]
    assert coverage.first is not None
    assert (coverage.first.revision, coverage.end) == (17, 21)


def test_a_hole_behind_what_was_thinned_is_still_damage() -> None:
    scribe = days(10)
    pruned(scribe.store, RetentionRule(2 * DAY))
    names = list(scribe.store.names("e00000001/log/"))
    scribe.store.delete(names[0])
    with pytest.raises(Exception, match="missing"):
        restore(scribe.store, AtRevision(18))


def test_a_damaged_snapshot_carries_nothing() -> None:
    scribe = days(10)
    before = answers(scribe.store, [AtRevision(revision) for revision in range(15, 17)])
    (name,) = [name for name in scribe.store.objects if "/snapshots/00000000000000000017@" in name]
    scribe.store.objects[name] = scribe.store.objects[name][:-1] + b"x"
    pruning = plan_pruning(scribe.store, RetentionRule(2 * DAY), late_clock())
    assert [name] == [str(error).split()[0] for error in pruning.damaged]
    prune(scribe.store, RetentionRule(2 * DAY), late_clock(), pruning)
    assert before == answers(scribe.store, [AtRevision(revision) for revision in range(15, 17)])
    assert name in scribe.store.objects


def test_nobody_records_and_nothing_ages() -> None:
    scribe = days(3)
    assert pruned(scribe.store, RetentionRule(30 * DAY)) == []


def test_a_point_is_restored_by_its_name_and_forgotten() -> None:
    scribe = days(3)
    point = add_point(scribe.store, "before-upgrade", AtTime(START + DAY), "why", late_clock())
    assert [point] == list_points(scribe.store)
    assert point == read_point(scribe.store, "before-upgrade")
    assert restore(scribe.store, target_of(point)).state.revision == point.position.revision == 3
    with pytest.raises(UsageError, match="there is a point before-upgrade already"):
        add_point(scribe.store, "before-upgrade", Latest(), "", late_clock())
    remove_point(scribe.store, "before-upgrade")
    assert list_points(scribe.store) == []
    with pytest.raises(UsageError, match="there is no point before-upgrade"):
        remove_point(scribe.store, "before-upgrade")


@pytest.mark.parametrize("name", ["", ".", "../x", "a/b", "-a", "a" * 65, "é", "a\n"])
def test_a_points_name_leads_nowhere_else(name) -> None:
    with pytest.raises(UsageError, match="is no name for a point"):
        add_point(days(1).store, name, Latest(), "", late_clock())


def test_a_point_that_pruning_didnt_see_is_refused_or_kept() -> None:
    """It is made between pruning's plan and its deletes: before the record it is seen, behind it refused."""
    rule = RetentionRule(2 * DAY)
    scribe = days(10)
    pruning = plan_pruning(scribe.store, rule, late_clock())
    point = add_point(scribe.store, "early", AtRevision(4), "", late_clock())
    prune(scribe.store, rule, late_clock(), pruning)
    assert restore(scribe.store, target_of(point)).state.revision == 4

    scribe = days(10)
    doomed = plan_pruning(scribe.store, rule, late_clock()).doomed
    delete, told = scribe.store.delete, []

    def interrupted(name: str) -> None:
        scribe.store.delete = delete  # type: ignore[method-assign]
        with pytest.raises(TargetNotRestorable, match="retention is thinning") as caught:
            add_point(scribe.store, "late", AtRevision(17 - 2), "", late_clock())
        told.append(caught.value.hint)
        delete(name)

    scribe.store.delete = interrupted  # type: ignore[method-assign]
    assert sorted(doomed) == sorted(pruned(scribe.store, rule))
    assert len(told) == 1
    assert list_points(scribe.store) == []
