"""Lines: exact for any bytes, and JSON for everyone else."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from generators import START, histories, keys, records, stamped, values
from hypothesis import given
from hypothesis import strategies as st

from replicator.core import lines
from replicator.core.lines import MAX_INLINE_DEPTH, is_inline
from replicator.core.records import Batch, Event, Record, Window
from replicator.errors import ArchiveDamaged

BEFORE_VALUE = b',"value":'


def foreign_value(line: bytes) -> bytes:
    """Return the value's bytes as somebody reads them who knows only docs/format.md."""
    if BEFORE_VALUE in line:
        return line[line.index(BEFORE_VALUE) + len(BEFORE_VALUE) : line.rindex(b"}")]
    read = json.loads(line)
    if "value_text" in read:
        return read["value_text"].encode()
    return base64.b64decode(read["value_base64"], validate=True)


def foreign_key(line: bytes) -> bytes:
    """Return the key's bytes, read likewise."""
    read = json.loads(line)
    return read["key"].encode() if "key" in read else base64.b64decode(read["key_base64"], validate=True)


@given(keys, records)
def test_a_record_comes_back_exactly(key, record) -> None:
    line = lines.encode_record(key, record)
    assert [(key, record)] == list(lines.decode_records(line, "x"))


@given(keys, records)
def test_a_foreign_reader_gets_the_exact_bytes(key, record) -> None:
    line = lines.encode_record(key, record)
    assert line.count(b"\n") == 1
    assert line.endswith(b"}\n")
    read = json.loads(line)
    assert (key, record.value) == (foreign_key(line), foreign_value(line))
    assert (record.create_revision, record.mod_revision, record.version, record.lease) == (
        read["create_revision"],
        read["mod_revision"],
        read["version"],
        read["lease"],
    )


@given(values)
def test_what_stands_inline_is_the_json_that_it_was(value) -> None:
    line = lines.encode_record(b"k", Record(value, 1, 1, 1, 0))
    if is_inline(value):
        # Compared as text: NaN isn't JSON and never inline, so that repr tells any two apart.
        assert repr(json.loads(value)) == repr(json.loads(line)["value"])


@given(st.lists(st.tuples(keys, records)))
def test_many_lines_decode_as_one_text(pairs) -> None:
    text = b"".join(lines.encode_record(key, record) for key, record in pairs)
    assert pairs == list(lines.decode_records(text, "x"))


@given(histories, st.booleans())
def test_a_batch_comes_back_exactly(history, is_late) -> None:
    window = Window(START, START + timedelta(seconds=5)) if is_late else None
    for live in stamped(history.history):
        batch = Batch(live.revision, live.observed_at, live.events, window)
        (first, event), *others = lines.decode_events(b"".join(lines.encode_batch(batch)), "x")
        assert batch == lines.batch_of(first, [event, *(event for _, event in others)], "x")


def test_a_delete_says_only_what_etcd_says() -> None:
    batch = Batch(9, START, (Event(b"/a", None),))
    assert (
        b"".join(lines.encode_batch(batch))
        == b'{"op":"delete","observed_at":"2026-01-01T00:00:00Z","key":"/a","mod_revision":9}\n'
    )


@pytest.mark.parametrize("value", [b'{"a":[1,"\\n"]}', b"0", b'""', b"null", b'"[' + b"[" * 999 + b'"'])
def test_json_on_one_line_stands_inline(value) -> None:
    assert is_inline(value)


@pytest.mark.parametrize(
    "value", [b"", b" 1", b"1\t", b"[\n]", b"[\r]", b"NaN", b"[1,]", b'"\xff"', b"1,2", b"{}}", b'"\x01"']
)
def test_anything_else_does_not(value) -> None:
    assert not is_inline(value)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_bounded_so_that_jq_can_read_it(opening, closing) -> None:
    def nested(depth: int) -> bytes:
        return opening * depth + b"1" * (opening != b"[") + closing * depth

    assert is_inline(nested(MAX_INLINE_DEPTH))
    assert not is_inline(nested(MAX_INLINE_DEPTH + 1))
    assert not is_inline(nested(100_000))


@pytest.mark.parametrize("text", [b"{\n", b"[]\n", b'{"key":1}\n', b'{"op":"move","key":"a"}\n', b"\xff\n"])
def test_other_lines_are_damage(text) -> None:
    with pytest.raises(ArchiveDamaged, match="x is damaged"):
        list(lines.decode_records(text, "x"))


def test_an_event_without_a_stamp_is_damage() -> None:
    line = lines.encode_record(b"k", Record(b"v", 1, 1, 1, 0))
    ((first, event),) = lines.decode_events(line, "x")
    with pytest.raises(ArchiveDamaged, match="revision 1 has no time"):
        lines.batch_of(first, [event], "x")
