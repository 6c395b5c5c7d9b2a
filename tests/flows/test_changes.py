"""The history against what etcd held at each revision, over archives cut, merged and gapped at random."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from archives import archives, written
from hypothesis import given
from hypothesis import strategies as st
from memory_store import MemoryStore
from msgspec import structs
from servers.clock import SteppedClock

from replicator.core.objects import decode_segment, encode_segment
from replicator.core.plan import AtTime
from replicator.core.retention import RetentionRule
from replicator.core.scan import Selection
from replicator.errors import ArchiveDamaged
from replicator.flows.changes import EVERYTHING, Break, Change, History
from replicator.flows.compact import compact
from replicator.flows.merge import MergeRules
from replicator.flows.prune import plan_pruning, prune
from replicator.flows.tip import Watermark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from archives import Known, Scribe

    from replicator.core.records import Record

    Pair = tuple[bytes, Record | None, Record | None]
    Told = tuple[str, int, int, list[Pair]]

selections = st.one_of(
    st.just(EVERYTHING),
    st.sampled_from([b"/apisix/", b"/apisix/a", b"/apisix/b", b"/apisix/\xff"]).map(Selection),
    st.sampled_from([b"/apisix/a", b"/apisix/b", b"/apisix/c", b"/apisix/\xff"]).map(
        lambda key: Selection(key, is_whole=True)
    ),
)


def differing(before: dict[bytes, Record], after: dict[bytes, Record], selection: Selection) -> list[Pair]:
    """Return what differs between two states in *selection*: key, what was, what is."""
    return [
        (key, before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if selection.holds(key) and before.get(key) != after.get(key)
    ]


def expected(known: list[Known], selection: Selection) -> Iterator[Told]:
    """Yield what must be told: each epoch's break, then each recorded revision that changed something."""
    end: dict[bytes, Record] = {}
    for epoch in known:
        base, _ = epoch.stamps[0]
        if epoch.number > 1:
            yield "gap", epoch.number, base, differing(end, epoch.states[base], selection)
        before = epoch.states[base]
        for revision, _ in epoch.stamps[1:]:
            changes = differing(before, epoch.states[revision], selection)
            if changes:
                yield "change", epoch.number, revision, changes
            before = epoch.states[revision]
        end = before


def told(items: Iterable[Change | Break]) -> list[Told]:
    """Return what a history says, in the form of `expected`."""
    return [
        (
            "gap" if isinstance(item, Break) else "change",
            item.epoch,
            item.revision,
            sorted((one.key, one.before, one.after) for one in item.changes)
            if isinstance(item, Change)
            else [(one.key, one.before, one.after) for one in item.changes],
        )
        for item in items
    ]


def tidied(scribe: Scribe, *, is_cleared: bool) -> None:
    """Merge what can be merged; if *is_cleared*, delete the sources too."""
    clock = SteppedClock()
    compact(scribe.store, MergeRules(grace=timedelta(hours=0 if is_cleared else 1)), clock)
    if is_cleared:
        compact(scribe.store, MergeRules(grace=timedelta(0)), clock)


@given(archives(), selections, st.sampled_from(["as written", "merged", "merged and cleared"]))
def test_every_change_is_told_once_with_what_was_before(scribe, selection, how) -> None:
    if how != "as written":
        tidied(scribe, is_cleared=how == "merged and cleared")
    assert told(History(scribe.store, selection).read()) == list(expected(scribe.known, selection))


@given(archives(), selections, st.data())
def test_a_stretch_is_that_part_of_the_whole(scribe, selection, data) -> None:
    moments = sorted(moment for epoch in scribe.known for _, moment in epoch.stamps)
    since, until = sorted(data.draw(st.lists(st.sampled_from(moments), min_size=2, max_size=2)))
    whole = History(scribe.store, selection).read()
    some = History(scribe.store, selection, AtTime(since, exclusive=True), AtTime(until)).read()
    inside = [item for item in whole if since <= item.observed_at <= until]
    found = list(some)
    assert [item for item in found if isinstance(item, Change)] == [
        item for item in inside if isinstance(item, Change)
    ]
    assert told(found)[-1:] == told(inside)[-1:]


@given(archives(), selections)
def test_what_comes_later_is_read_by_going_on(scribe, selection) -> None:
    """A copy that grows object by object gives, read again and again, what the whole gives at once."""
    whole = told(History(scribe.store, selection).read())
    growing = MemoryStore()
    names = [name for name in scribe.store.objects if name != "checkpoint.json"]
    history, found = History(growing, selection), []
    for name in names:  # as they were stored, one after the other
        growing.objects[name] = scribe.store.objects[name]
        if "e00000001/epoch.json" in growing.objects:
            found += told(history.read())
    assert found == whole


def test_a_missing_segment_is_damage_and_no_shorter_history() -> None:
    scribe = written()
    names = [name for name in scribe.store.objects if "/log/" in name]
    del scribe.store.objects[names[2]]
    with pytest.raises(ArchiveDamaged, match="has a hole"):
        list(History(scribe.store).read())


def test_a_last_segment_that_is_missing_is_told_by_the_checkpoint() -> None:
    scribe = written()
    assert scribe.tip is not None
    scribe.watch_on(Watermark(scribe.tip.state.revision, scribe.tip.watermark.moment))
    del scribe.store.objects[[name for name in scribe.store.objects if "/log/" in name][-1]]
    with pytest.raises(ArchiveDamaged, match="was recorded"):
        list(History(scribe.store).read())


def test_any_changed_byte_is_damage() -> None:
    scribe = written()
    for name in [name for name in scribe.store.objects if "/log/" in name]:
        body = scribe.store.objects[name]
        scribe.store.objects[name] = body[:-1] + bytes([body[-1] ^ 1])
        with pytest.raises(ArchiveDamaged):
            list(History(scribe.store, Selection(b"/apisix/nothing", is_whole=True)).read())
        scribe.store.objects[name] = body


def test_a_segment_that_follows_another_one_breaks_the_chain() -> None:
    scribe = written()
    name = [name for name in scribe.store.objects if "/log/" in name][3]
    segment = decode_segment(scribe.store.objects[name], name)
    footer = structs.replace(segment.footer, previous="0" * 64)
    scribe.store.objects[name] = encode_segment(segment.header, segment.batches, footer)
    with pytest.raises(ArchiveDamaged, match="hash chain"):
        list(History(scribe.store, Selection(b"/apisix/nothing", is_whole=True)).read())


def test_what_retention_took_is_told_and_history_begins_behind_it() -> None:
    scribe = written(cut_after=(3, 5))
    rule, clock = RetentionRule(timedelta(seconds=1)), SteppedClock()
    clock.sleep(6)
    deleted = prune(scribe.store, rule, clock, plan_pruning(scribe.store, rule, clock))
    assert deleted
    first, *others = History(scribe.store).read()
    assert isinstance(first, Break)
    assert (first.kind, first.revision) == ("thinned", 5)
    assert [item.revision for item in others] == [6, 7, 8]
