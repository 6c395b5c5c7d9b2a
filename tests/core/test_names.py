"""Names: they sort as what they name, and say all of it."""

from __future__ import annotations

import pytest
from generators import moments, numbers
from hypothesis import given
from hypothesis import strategies as st

from replicator.core.names import LogName, SnapshotName, epoch_document, parse_log, parse_snapshot

epochs = st.integers(1, 99_999_999)
log_names = st.builds(LogName, epochs, numbers)
snapshot_names = st.builds(SnapshotName, epochs, numbers, moments, is_base=st.just(value=False))


@given(log_names)
def test_a_segments_name_comes_back(name) -> None:
    assert name == parse_log(str(name))
    assert parse_snapshot(str(name)) is None


@given(snapshot_names)
def test_a_snapshots_name_comes_back(name) -> None:
    assert name == parse_snapshot(str(name))
    assert parse_log(str(name)) is None


@given(log_names, log_names)
def test_segments_sort_by_position(one, other) -> None:
    assert (one < other) == (str(one) < str(other))


@given(snapshot_names, snapshot_names)
def test_snapshots_sort_by_position_then_time(one, other) -> None:
    assert (one < other) == (str(one) < str(other))


def test_names_are_those_of_the_format() -> None:
    assert epoch_document(1) == "e00000001/epoch.json"
    assert str(LogName(1, 41)) == "e00000001/log/00000000000000000041.jsonl.zst"
    name = "e00000002/snapshots/00000000000000000041@20260102T030405.000006Z.jsonl.zst"
    assert name == str(parse_snapshot(name))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "archive.json",
        "e1/log/00000000000000000041.jsonl.zst",
        "e00000001/log/41.jsonl.zst",
        "e00000001/log/00000000000000000041.jsonl.zst~",
        "e00000001/log/00000000000000000041.jsonl.zst\n",
        "old/e00000001/log/00000000000000000041.jsonl.zst",
        "e00000001/snapshots/00000000000000000041.jsonl.zst",
        "e00000001/snapshots/00000000000000000041@20261302T030405.000006Z.jsonl.zst",
        "e00000001/snapshots/00000000000000000041@20260102T030405Z.jsonl.zst",
    ],
)
def test_strangers_are_passed_over(name) -> None:
    assert parse_log(name) is None
    assert parse_snapshot(name) is None
