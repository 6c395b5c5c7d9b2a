"""Gap records: exactly what differs, in order, and never believed when damaged."""

from __future__ import annotations

from datetime import timedelta

import pytest
from damage import damaged
from generators import START, keys, records
from hypothesis import given
from hypothesis import strategies as st

from replicator.core import frame, gaps
from replicator.core.documents import Follows
from replicator.core.gaps import Across, Difference, differences
from replicator.core.objects import Header
from replicator.core.records import Position, Record
from replicator.core.state import State
from replicator.errors import ArchiveDamaged

HEADER = Header(kind="gap", archive_id="a", epoch=2, revision=9, writer="w")
FOLLOWS = Follows(position=Position(1, 4), through_revision=5, observed_through=START, segment="s")

contents = st.dictionaries(keys, records, max_size=6)


@st.composite
def sides(draw: st.DrawFn) -> tuple[dict[bytes, Record], dict[bytes, Record]]:
    """Return what is held before and after: some of it the same, some with the same values alone."""
    before, after = draw(contents), draw(contents)
    for key, record in before.items():
        match draw(st.sampled_from(["same", "same value", "gone"])):
            case "same":
                after[key] = record
            case "same value":
                after[key] = Record(record.value, record.create_revision, record.mod_revision ^ 1, 1, 0)
    return before, after


def state(held: dict[bytes, Record], revision: int) -> State:
    """Return a state that holds *held*."""
    made = State(revision)
    for key, record in held.items():
        made.add(key, record)
    return made


def across(before: dict[bytes, Record], after: dict[bytes, Record]) -> Across:
    """Return the gap between the two."""
    moment = START + timedelta(seconds=3)
    return Across("compacted", state(before, 4), FOLLOWS, state(after, 9), moment)


@given(sides())
def test_a_record_names_each_key_that_differs_and_no_other(both) -> None:
    before, after = both
    found = {one.raw_key: one for one in differences(state(before, 4), state(after, 9))}
    expected = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert sorted(expected) == list(found)
    for key, one in found.items():
        old, new = before.get(key), after.get(key)
        assert one.op == ("created" if old is None else "deleted" if new is None else "updated")
        assert (one.before, one.after) == (old.mod_revision if old else 0, new.mod_revision if new else 0)
        assert one.same_value == (old is not None and new is not None and old.value == new.value)


@given(sides())
def test_a_record_comes_back_and_is_the_same_each_time(both) -> None:
    body, gap = across(*both).encode(HEADER, "some/name")
    assert (body, gap) == across(*both).encode(HEADER, "some/name")
    header, found, footer = gaps.decode(body, "some/name")
    assert header == HEADER
    assert found == list(differences(state(both[0], 4), state(both[1], 9)))
    assert (gap.sha256, gap.name) == (frame.digest_of(body), "some/name")
    assert (gap.created, gap.updated, gap.deleted, gap.same_value) == (
        footer.created,
        footer.updated,
        footer.deleted,
        footer.same_value,
    )
    assert gap.created + gap.updated + gap.deleted == len(found)
    assert (footer.reason, footer.follows, footer.base) == ("compacted", FOLLOWS, 9)
    assert (footer.digest_before, footer.digest_after) == (state(both[0], 4).digest, state(both[1], 9).digest)


RECORD = Record(b"1", 2, 2, 1, 0)


def test_a_damaged_record_is_never_believed() -> None:
    body, _ = across({b"a": RECORD}, {b"b": RECORD}).encode(HEADER, "n")
    for wrong in damaged(body):
        with pytest.raises(ArchiveDamaged, match=r"^n is damaged"):
            gaps.decode(wrong, "n")


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[:1],
        lambda lines: lines[:-1],
        lambda lines: [lines[0], lines[-1]],
        lambda lines: [lines[0], b"no JSON\n", *lines[2:]],
        lambda lines: [lines[0].replace(b'"gap"', b'"segment"'), *lines[1:]],
        lambda lines: [*lines[:-1], lines[-1][:-1]],
    ],
)
def test_what_is_whole_but_no_gap_record_is_told(change) -> None:
    body, _ = across({b"a": RECORD}, {b"b": RECORD}).encode(HEADER, "n")
    lines = b"".join(frame.unpack(body, "n")).splitlines(keepends=True)
    with pytest.raises(ArchiveDamaged, match=r"^n is damaged"):
        gaps.decode(frame.pack(change(lines)), "n")


def test_a_line_says_no_more_than_it_must() -> None:
    body, _ = across({b"a": RECORD}, {b"\xff": RECORD}).encode(HEADER, "n")
    lines = b"".join(frame.unpack(body, "n")).splitlines()
    assert lines[1:3] == [
        b'{"op":"deleted","key":"a","before":2}',
        b'{"op":"created","key_base64":"/w==","after":2}',
    ]
    assert Difference(op="created", key_base64=b"\xff", after=2).raw_key == b"\xff"
