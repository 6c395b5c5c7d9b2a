"""The state: a fold that equals etcd's own at every revision, a digest that tells any two apart."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

import msgspec
import pytest
from generators import START, histories, keys, records, stamped
from hypothesis import assume, given
from hypothesis import strategies as st

from replicator.core.records import Batch, Event, Record
from replicator.core.state import GapInLog, State, digest_of, replay

pairs = st.dictionaries(keys, records, max_size=8)


def state_of(records: dict[bytes, Record], revision: int = 1) -> State:
    state = State(revision)
    for key, record in records.items():
        state.add(key, record)
    return state


def batch(revision: int, *events: Event) -> Batch:
    return Batch(revision, START, events)


@given(histories)
def test_the_fold_is_etcds_state_at_every_revision(history) -> None:
    state = State(1)
    for each in stamped(history.history):
        state.apply(each)
        held = history.states[each.revision]
        assert sorted(held.items()) == list(state.items())
        assert each.revision == state.revision
        assert len(held) == len(state)
        assert sum(len(key) + len(record.value) for key, record in held.items()) == state.size_bytes
        assert digest_of(held.items()) == state.digest


@given(histories, st.data())
def test_replay_from_any_cut_gives_the_same_and_leaves_the_cut_alone(history, data) -> None:
    batches = stamped(history.history)
    place = data.draw(st.integers(0, len(batches)))
    cut = replay(State(1), batches[:place])
    before = list(cut.items()), cut.digest, cut.revision
    whole, pieced = replay(State(1), batches), replay(cut, batches[place:])
    assert (list(whole.items()), whole.digest) == (list(pieced.items()), pieced.digest)
    assert before == (list(cut.items()), cut.digest, cut.revision)


@given(histories, st.data())
def test_the_digest_is_the_same_however_seldom_it_is_asked_for(history, data) -> None:
    state = State(1)
    for each in stamped(history.history):
        if data.draw(st.booleans()):
            state = state.copy()
        state.apply(each)
        if data.draw(st.booleans()):
            assert state.digest == digest_of(history.states[each.revision].items())


@given(pairs, st.randoms())
def test_the_digest_knows_no_order(held, chance) -> None:
    shuffled = list(held.items())
    chance.shuffle(shuffled)
    assert state_of(held).digest == digest_of(shuffled)


@given(pairs, pairs)
def test_the_digest_tells_states_apart(one, other) -> None:
    assert (one == other) == (digest_of(one.items()) == digest_of(other.items()))


def test_the_digest_is_the_one_of_the_format() -> None:
    """Computed here as docs/format.md says, without our code."""
    total = 0
    for key, value, create, mod, version, lease in [(b"/a", b"x", 2, 9, 3, 0), (b"/b\xff", b"", 4, 4, 1, -5)]:
        head = struct.pack(">Iqqqq", len(key), create, mod, version, lease)
        total += int.from_bytes(hashlib.sha256(head + key + value).digest(), "big")
    held = {b"/a": Record(b"x", 2, 9, 3, 0), b"/b\xff": Record(b"", 4, 4, 1, -5)}
    assert f"{total % 2**256:064x}" == digest_of(held.items())


@dataclass
class Held:
    """A state with one key, put twice."""

    state: State
    record: Record


@pytest.fixture
def held() -> Held:
    record = Record(b"x", 3, 5, 2, 0)
    return Held(state_of({b"/a": record}, revision=5), record)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"version": 4},
        {"create_revision": 5},
        {"mod_revision": 7},
        {"create_revision": 6, "version": 1},  # a delete between them is missing
    ],
)
def test_a_put_that_doesnt_follow_is_a_gap(held, changes) -> None:
    fitting = Record(b"y", 3, 6, 3, 0)
    with pytest.raises(GapInLog, match="doesn't follow"):
        held.state.apply(batch(6, Event(b"/a", msgspec.structs.replace(fitting, **changes))))


@pytest.mark.parametrize(
    "record", [Record(b"y", 6, 6, 2, 0), Record(b"y", 3, 6, 1, 0), Record(b"y", 5, 5, 1, 0)]
)
def test_a_first_put_that_isnt_one_is_a_gap(held, record) -> None:
    with pytest.raises(GapInLog, match="doesn't follow"):
        held.state.apply(batch(6, Event(b"/b", record)))


def test_a_delete_of_nothing_is_a_gap(held) -> None:
    with pytest.raises(GapInLog, match="doesn't follow"):
        held.state.apply(batch(6, Event(b"/b", None)))


@pytest.mark.parametrize("revision", [4, 5])
def test_no_batch_comes_twice(held, revision) -> None:
    with pytest.raises(GapInLog, match=f"revision {revision} can't follow revision 5"):
        held.state.apply(batch(revision, Event(b"/a", None)))


def test_no_key_stands_twice(held) -> None:
    with pytest.raises(GapInLog, match="stands twice"):
        held.state.add(b"/a", held.record)


@given(histories, st.data())
def test_a_lost_revision_is_told_or_changes_nothing_that_is_left(history, data) -> None:
    """What the fold can't notice by itself the digest does: it names the key that is missing or stale."""
    batches = stamped(history.history)
    assume(batches)
    lost = data.draw(st.integers(0, len(batches) - 1))
    try:
        state = replay(State(1), batches[:lost] + batches[lost + 1 :])
    except GapInLog:
        return
    equal = list(state.items()) == sorted(history.states[history.head].items())
    assert equal == (state.digest == replay(State(1), batches).digest)
