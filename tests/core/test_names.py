"""Names: they sort as what they name, and say all of it."""

from __future__ import annotations

import pytest
from generators import moments, numbers
from hypothesis import given
from hypothesis import strategies as st

from replicator.core.names import (
    LogName,
    MergedName,
    PrunedName,
    SnapshotName,
    epoch_document,
    parse_log,
    parse_merged,
    parse_pruned,
    parse_snapshot,
)

epochs = st.integers(1, 99_999_999)
log_names = st.builds(LogName, epochs, numbers)
snapshot_names = st.builds(SnapshotName, epochs, numbers, moments, is_base=st.just(value=False))


merged_names = st.builds(
    lambda epoch, ends, *span: MergedName(epoch, *sorted(ends), *span),
    epochs,
    st.lists(numbers, min_size=2, max_size=2, unique=True),
    moments,
    moments,
)


@given(merged_names)
def test_a_merged_objects_name_comes_back(name) -> None:
    assert name == parse_merged(str(name))
    assert parse_log(str(name)) is parse_snapshot(str(name)) is parse_pruned(str(name)) is None


@given(st.builds(PrunedName, epochs, numbers, moments))
def test_the_name_of_a_record_of_retention_comes_back(name) -> None:
    assert name == parse_pruned(str(name))
    assert parse_merged(str(name)) is parse_snapshot(str(name)) is None


@given(merged_names, merged_names)
def test_merged_objects_sort_by_where_they_begin_then_by_where_they_end(one, other) -> None:
    assert (one < other) == (str(one) < str(other))


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
