"""Plans: which epoch, which snapshot and which segments answer a target, or why none can."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from generators import START

from replicator.core.documents import Epoch, Follows
from replicator.core.names import LogName, SnapshotName
from replicator.core.plan import (
    AtRevision,
    AtTime,
    Latest,
    Target,
    choose_snapshot,
    choose_spans,
    is_after,
    is_before,
    late_by,
    tail,
)
from replicator.core.records import Position, Window
from replicator.errors import TargetNotRestorable


def at(seconds: float) -> datetime:
    """Return the moment *seconds* after START."""
    return START + timedelta(seconds=seconds)


def epoch(number: int, base: int, since: float, follows: Follows | None = None) -> Epoch:
    """Return an epoch that begins at revision *base*, *since* seconds after START."""
    return Epoch(
        epoch=number,
        reason="first" if follows is None else "compacted",
        cluster_id="c",
        base=base,
        observed_at=at(since),
        snapshot=str(SnapshotName(number, base, at(since))),
        writer="w",
        follows=follows,
    )


def end(number: int, revision: int, through: int, until: float) -> Follows:
    """Return that epoch *number* ended with *revision*, known through *through* and *until*."""
    return Follows(
        position=Position(number, revision), through_revision=through, observed_through=at(until), segment="s"
    )


# Epoch 1: revisions 10-20, known through 25, 100-200 s. Then a gap. Epoch 2 from revision 50, 300 s.
EPOCHS = [epoch(1, 10, 100), epoch(2, 50, 300, end(1, 20, 25, 200))]
# etcd was set back: epoch 2 begins again at revision 15.
REWOUND = [epoch(1, 10, 100), epoch(2, 15, 300, end(1, 40, 40, 200))]


def chosen(target: Target, epochs: list[Epoch]) -> list[int]:
    """Return the numbers of the epochs that *target* may lie in."""
    return [span.epoch.epoch for span in choose_spans(target, epochs)]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (AtRevision(10), [1]),
        (AtRevision(20), [1]),
        (AtRevision(25), [1]),
        (AtRevision(50), [2]),
        (AtRevision(999), [2]),
        (AtTime(at(100)), [1]),
        (AtTime(at(150), exclusive=True), [1]),
        (AtTime(at(200)), [1]),
        (AtTime(at(300)), [2]),
        (AtTime(at(9999)), [2]),
        (Latest(), [2]),
    ],
)
def test_a_target_lies_in_the_epoch_that_covers_it(target, expected) -> None:
    assert expected == chosen(target, EPOCHS)


@pytest.mark.parametrize("target", [AtRevision(9), AtTime(at(99.9)), AtTime(at(100), exclusive=True)])
def test_a_target_before_history_names_the_first_moment(target) -> None:
    with pytest.raises(TargetNotRestorable, match="before the archive's history") as caught:
        choose_spans(target, EPOCHS)
    assert "revision 10 at 2026-01-01T00:01:40" in caught.value.hint


@pytest.mark.parametrize(
    "target",
    [
        AtRevision(26),
        AtRevision(49),
        AtTime(at(200.1)),
        AtTime(at(299.9)),
        AtTime(at(300), exclusive=True),
    ],
)
def test_a_target_in_a_gap_names_both_its_sides(target) -> None:
    with pytest.raises(TargetNotRestorable, match="in the gap after epoch 1") as caught:
        choose_spans(target, EPOCHS)
    assert "revision 20, known until 2026-01-01T00:03:20" in caught.value.hint
    assert "revision 50 at 2026-01-01T00:05:00" in caught.value.hint
    assert "compacted" in caught.value.hint


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (AtRevision(14), [1]),
        (AtRevision(15), [2, 1]),
        (AtRevision(40), [2, 1]),
        (AtRevision(41), [2]),
        (AtTime(at(200)), [1]),
        (AtTime(at(300)), [2]),
    ],
)
def test_after_a_rewind_the_newest_epoch_that_may_know_a_revision_comes_first(target, expected) -> None:
    assert expected == chosen(target, REWOUND)


SNAPSHOTS = [
    SnapshotName(1, revision, at(seconds)) for revision, seconds in [(10, 100), (15, 150), (18, 180)]
]


@pytest.mark.parametrize(
    ("target", "revision", "until"),
    [
        (AtRevision(10), 10, 15),
        (AtRevision(14), 10, 15),
        (AtRevision(15), 15, 18),
        (AtRevision(17), 15, 18),
        (AtRevision(18), 18, 20),
        (AtRevision(25), 18, 20),
        (AtTime(at(149)), 10, 15),
        (AtTime(at(150)), 15, 18),
        (AtTime(at(150), exclusive=True), 10, 15),
        (AtTime(at(199)), 18, 20),
    ],
)
def test_the_last_snapshot_at_or_before_the_target_is_chosen(target, revision, until) -> None:
    (span,) = choose_spans(target, EPOCHS)
    plan = choose_snapshot(target, span, SNAPSHOTS)
    assert (revision, until) == (plan.snapshot.revision, plan.until)


def test_in_the_newest_epoch_the_log_is_read_to_its_end() -> None:
    (span,) = choose_spans(Latest(), EPOCHS[:1])
    plan = choose_snapshot(Latest(), span, SNAPSHOTS)
    assert (plan.snapshot.revision, plan.until) == (18, None)


def test_snapshots_outside_of_the_epoch_dont_count() -> None:
    """A stale writer may have cut one after its end."""
    (span,) = choose_spans(AtRevision(25), EPOCHS)
    plan = choose_snapshot(AtRevision(25), span, [*SNAPSHOTS, SnapshotName(1, 21, at(210))])
    assert (plan.snapshot.revision, plan.until) == (18, 20)


@pytest.mark.parametrize(
    ("target", "expected"),
    [(AtRevision(14), [10, 12]), (AtRevision(18), [18, 19]), (AtRevision(15), [15, 17])],
)
def test_the_tail_ends_where_the_next_snapshot_or_epoch_begins(target, expected) -> None:
    (span,) = choose_spans(target, EPOCHS)
    plan = choose_snapshot(target, span, SNAPSHOTS)
    log = [LogName(1, after) for after in (10, 12, 15, 17, 18, 19, 20, 23) if after >= plan.snapshot.revision]
    assert expected == [name.after for name in tail(plan, log)]


@pytest.mark.parametrize(
    ("target", "before", "after"),
    [
        (AtTime(at(10)), False, False),
        (AtTime(at(10), exclusive=True), True, False),
        (AtTime(at(9)), True, False),
        (AtTime(at(11)), False, True),
        (AtRevision(4), True, False),
        (AtRevision(5), False, False),
        (AtRevision(6), False, True),
        (Latest(), False, False),
    ],
)
def test_before_and_after_revision_5_at_10_s(target, before, after) -> None:
    assert (before, after) == (is_before(target, 5, at(10)), is_after(target, 5, at(10)))


WINDOW = Window(at(10), at(14))


@pytest.mark.parametrize(
    ("target", "last", "following", "expected"),
    [
        (AtTime(at(12)), None, None, 0),
        (AtTime(at(12)), WINDOW, None, 4),
        (AtTime(at(12)), None, WINDOW, 4),
        (AtTime(at(14)), None, WINDOW, 4),
        (AtTime(at(10)), None, WINDOW, 0),
        (AtTime(at(15)), WINDOW, None, 0),
        (AtTime(at(12)), WINDOW, Window(at(11), at(20)), 9),
        (AtRevision(5), WINDOW, None, 4),
        (AtRevision(5), None, WINDOW, 0),
        (Latest(), WINDOW, None, 4),
    ],
)
def test_late_by_is_the_window_that_the_answer_may_be_off_by(target, last, following, expected) -> None:
    assert timedelta(seconds=expected) == late_by(target, last, following)
