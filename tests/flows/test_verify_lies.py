"""`verify --full` on objects that are whole, and lie."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from archives import segments, written
from generators import START
from msgspec import structs

from replicator.core import objects
from replicator.core.names import parse_snapshot
from replicator.core.order import disorder
from replicator.core.records import Batch, Window
from replicator.flows.verify_full import verify_full

SNAPSHOTS = "e00000001/snapshots/"
OTHER = "0" * 64
SEGMENTS_LIES = [
    {"state_digest": OTHER},
    {"previous": OTHER},
    {"observed_at": START},
    {"observed_through": START},
    {"observed_through": START + timedelta(days=1)},
    {"through_revision": 0},
    {"through_revision": 10},
    {"archive_id": "another"},
    {"epoch": 2},
    {"revision": 3},
]
SNAPSHOTS_LIES = [
    {"state_digest": OTHER},
    {"keys": 2},
    {"segment": OTHER},
    {"window": Window(START, START)},
    {"archive_id": "another"},
    {"epoch": 2},
    {"revision": 3},
]


def altered(part: Any, lie: dict[str, Any]) -> Any:
    """Return a header or a footer that tells the *lie*, as far as that is one of its members."""
    members = {name: value for name, value in lie.items() if name in part.__struct_fields__}
    return structs.replace(part, **members)


@pytest.mark.parametrize("lie", SEGMENTS_LIES, ids=str)
def test_a_segment_that_is_whole_and_lies_is_found(lie) -> None:
    scribe = written()
    name = segments(scribe)[2]
    body = objects.decode_segment(scribe.store.get(name), name)
    scribe.store.objects[name] = objects.encode_segment(
        altered(body.header, lie), body.batches, altered(body.footer, lie)
    )
    damaged = {damage.object for damage in verify_full(scribe.store).damages}

    assert damaged & {name, segments(scribe)[3]}


@pytest.mark.parametrize("lie", SNAPSHOTS_LIES, ids=str)
def test_a_snapshot_that_is_whole_and_lies_is_found(lie) -> None:
    scribe = written(cut_after=(3,))
    (name,) = (name for name in scribe.store.names(SNAPSHOTS) if parse_snapshot(name))
    body = objects.decode_snapshot(scribe.store.get(name), name)
    scribe.store.objects[name] = objects.encode_snapshot(
        altered(body.header, lie), body.state, altered(body.footer, lie)
    )
    (damage,) = verify_full(scribe.store).damages

    assert damage.object == name


@pytest.mark.parametrize("stamp", ["20260101T000002.000000Z", "20260101T000004.000000Z"])
def test_a_snapshot_under_another_time_is_found(stamp) -> None:
    scribe = written(cut_after=(3,))
    (name,) = (name for name in scribe.store.names(SNAPSHOTS) if parse_snapshot(name))
    other = name.replace("20260101T000003.000000Z", stamp)
    scribe.store.objects[other] = scribe.store.objects.pop(name)
    (damage,) = verify_full(scribe.store).damages

    assert "its time isn't that of the log" in damage.what


def test_stamps_and_watermarks_out_of_order_are_told() -> None:
    scribe = written()
    first, second = (objects.decode_segment(scribe.store.get(name), name) for name in segments(scribe)[:2])
    start = START + timedelta(seconds=1)

    assert list(disorder(first.footer, start, second)) == []
    assert list(disorder(second.footer, start, first)) == [
        "its stamps don't strictly rise",
        "it has a revision where the object before it says that nothing happened",
    ]
    (batch,) = second.batches
    backward = Window(START + timedelta(seconds=3), START)
    odd = objects.Segment(
        second.header,
        (Batch(batch.revision, batch.observed_at, batch.events, backward),),
        first.footer,
        second.digest,
    )
    assert list(disorder(first.footer, start, odd)) == [
        "its footer has another stamp than its last revision",
        "it has a window that ends before it begins",
    ]
