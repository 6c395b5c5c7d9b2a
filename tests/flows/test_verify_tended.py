"""`verify --full` on archives that were merged, thinned and pointed at: it knows all that they hold."""

from __future__ import annotations

import re
from datetime import timedelta

from archives import TICK, Scribe, archives
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.clock import SteppedClock

from replicator.core.merging import Limits
from replicator.core.names import MergedName, epoch_document, parse_log, parse_snapshot
from replicator.core.plan import AtRevision
from replicator.core.retention import RetentionRule
from replicator.errors import ReplicatorError, UsageError
from replicator.flows.compact import compact
from replicator.flows.gaps import acknowledge, find_gaps
from replicator.flows.merge import MergeRules
from replicator.flows.open_archive import log, merged, open_archive, thinned_through
from replicator.flows.points import add_point
from replicator.flows.prune import plan_pruning, prune
from replicator.flows.restore import restore
from replicator.flows.verify_full import Full, verify_full

HOUR = timedelta(hours=1)
long_pauses = st.sampled_from([TICK, 3 * HOUR, 25 * HOUR])
rules = st.sampled_from([timedelta(0), 5 * HOUR, 2 * 24 * HOUR]).flatmap(
    lambda full: st.sampled_from([None, full + 24 * HOUR, full + 60 * 24 * HOUR]).map(
        lambda daily: RetentionRule(full, daily)
    )
)


def late_clock() -> SteppedClock:
    clock = SteppedClock()
    clock.sleep(1e9)
    return clock


@st.composite
def tended(draw) -> Scribe:
    """Return a scribe whose archive was kept as `run` and its user keep one."""
    scribe = draw(archives(long_pauses))
    store, clock = scribe.store, late_clock()
    moments = [(known.number, revision) for known in scribe.known for revision, _ in known.stamps]
    for place, (epoch, revision) in enumerate(draw(st.lists(st.sampled_from(moments), max_size=2))):
        add_point(store, f"p{place}", AtRevision(revision, epoch), "", clock)
    for task in draw(st.lists(st.sampled_from(["merge", "clear", "prune", "acknowledge"]), max_size=4)):
        if task == "prune":
            rule = draw(rules)
            prune(store, rule, clock, plan_pruning(store, rule, clock))
        elif task == "acknowledge":
            for gap in find_gaps(store, open_archive(store).epochs):
                acknowledge(store, gap, clock.now(), "seen")
        else:
            grace = timedelta(0) if task == "clear" else HOUR
            compact(store, MergeRules(grace=grace, limits=Limits(segments=draw(st.integers(2, 5)))), clock)
    return scribe


def answers(scribe: Scribe) -> dict[tuple[int, int], str | None]:
    """Return what each recorded revision gives: the digest of its state, or None."""
    return {
        (known.number, revision): answer(scribe, AtRevision(revision, known.number))
        for known in scribe.known
        for revision, _ in known.stamps
    }


def answer(scribe: Scribe, target: AtRevision) -> str | None:
    try:
        return restore(scribe.store, target).state.digest
    except ReplicatorError:
        return None


def tells(found: Full, epoch: int, revision: int) -> bool:
    """Tell whether the words of some damage say that this moment is lost."""
    return any(
        damage.lost.startswith("all")
        or (damage.object.startswith(f"e{epoch:08d}") and is_within(damage.lost, revision))
        for damage in found.damages
    )


def is_within(words: str, revision: int) -> bool:
    begin = re.match(r"(after|from) revision (\d+)", words)
    end = re.search(r"before revision (\d+)", words)
    if begin is None:
        return False
    first = int(begin[2]) + (begin[1] == "after")
    return first <= revision < (int(end[1]) if end else revision + 1)


@settings(max_examples=60, deadline=None)
@given(tended())
def test_whatever_keeping_leaves_is_clean(scribe) -> None:
    assert verify_full(scribe.store).damages == ()


@settings(max_examples=80, deadline=None)
@given(tended(), st.data())
def test_a_deleted_object_is_missed_if_it_is_needed_and_only_then(scribe, data) -> None:
    before = answers(scribe)
    name = data.draw(st.sampled_from(sorted(scribe.store.objects)))
    is_blind = nobody_knows_of(scribe, name)
    scribe.store.delete(name)
    lost = [place for place, digest in answers(scribe).items() if digest != before[place]]
    try:
        found = verify_full(scribe.store)
    except UsageError:
        assert is_blind or name == epoch_document(1)
        return

    if not is_blind:
        assert [place for place in lost if not tells(found, *place)] == []
    if not lost and is_redundant(scribe, name):
        assert found.damages == ()


def is_redundant(scribe: Scribe, name: str) -> bool:
    """Tell whether *name* was a snapshot that only saved time, a merged object's source, or a hint."""
    piece = parse_log(name)
    if piece is None:
        return parse_snapshot(name) is not None or name.startswith(("points/", "checkpoint"))
    return any(span.after <= piece.after < span.last for span in merged(scribe.store, piece.epoch))


def nobody_knows_of(scribe: Scribe, name: str) -> bool:
    """Tell whether nothing else in the archive tells of the object *name*."""
    newest = scribe.known[-1].number
    pieces = [*log(scribe.store, newest), *merged(scribe.store, newest)]
    ends = {piece.last if isinstance(piece, MergedName) else piece.after + 1: str(piece) for piece in pieces}
    snapshot = parse_snapshot(name.replace(".base.", "."))
    return name == (ends[max(ends)] if ends else epoch_document(newest)) or (
        snapshot is not None and snapshot.revision < thinned_through(scribe.store, snapshot.epoch)
    )


@settings(max_examples=80, deadline=None)
@given(tended(), st.data())
def test_a_flipped_bit_in_anything_is_found_where_it_is(scribe, data) -> None:
    name = data.draw(st.sampled_from(sorted(scribe.store.objects)))
    body = bytearray(scribe.store.objects[name])
    body[data.draw(st.integers(0, 1 << 20)) % len(body)] ^= 1 << data.draw(st.integers(0, 7))
    before = answers(scribe)
    scribe.store.objects[name] = bytes(body)
    lost = [place for place, digest in answers(scribe).items() if digest != before[place]]
    found = verify_full(scribe.store)

    if name == "checkpoint.json":
        assert name in [note.first for note in found.notes]
    else:
        assert name in {damage.object for damage in found.damages}
    assert [place for place in lost if not tells(found, *place)] == []
