"""Random keys, values, records and histories, for properties over all of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from etcd_model import EtcdModel
from hypothesis import strategies as st

from replicator.core.records import Batch, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicator.core.stamp import Unstamped

START = datetime(2026, 1, 1, tzinfo=UTC)

# What has a chance to confuse a line: near-JSON, JSON with its own lines and margins, marks of our own.
_TRICKY = [
    b"",
    b" ",
    b"null",
    b" null",
    b"null ",
    b"\tnull",
    b'{"a":1}\n',
    b'{\n  "a": 1\n}',
    b'{"a":\r1}',
    b'{"value":"x","value":{"value":1}}',
    b'{"a":1},"value":{"b":2}',
    b'","value":1}',
    b'{"a":1}}',
    b'"\\ud800"',
    b'"\x00"',
    b'"\x7f"',
    b'"tab\there"',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe",
    b'"\xff"',
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0.0",
    b"01",
    b"1.",
    b"--1",
    b"tru",
    b"12345678901234567890123",
    b'{"a":1,"a":2}',
    b"[1,2,]",
    b"[" * 199 + b"]" * 199,
    b"[" * 201 + b"]" * 201,
    b"[" * 5000 + b"]" * 5000,
    b'"' + b"[" * 500 + b'"',
    "\u2028\u0000\U0001f600".encode(),
    "\ud7ff\ue000".encode(),
]

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_written: list[Callable[[object], str]] = [
    json.dumps,
    lambda value: json.dumps(value, ensure_ascii=False),
    lambda value: json.dumps(value, indent=1),
    lambda value: json.dumps(value, separators=(",", ":")),
]
_json_bytes = st.builds(lambda write, value: write(value).encode(), st.sampled_from(_written), _json)

keys = st.binary(min_size=1, max_size=24) | st.text(min_size=1, max_size=12).map(str.encode)
values = (
    st.sampled_from(_TRICKY) | st.binary(max_size=48) | st.text(max_size=24).map(str.encode) | _json_bytes
)
numbers = st.integers(0, (1 << 63) - 1)
records = st.builds(Record, values, numbers, numbers, numbers, st.integers(-(1 << 63), (1 << 63) - 1))
moments = st.datetimes(datetime(2001, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001

# Few keys, so that they are put again, deleted and brought back; one is no UTF-8.
_KEYS = [
    b"/apisix",
    b"/apisix/routes/1",
    b"/apisix/routes/2",
    b"/apisix/ssls/1",
    b"/apisix/\xff\x00",
    b"/apisixx",
]
_key = st.sampled_from(_KEYS)
_lease = st.sampled_from([0, 0, 7, 1 << 62])
_change = st.tuples(_key, st.none() | values, _lease)
_step = st.one_of(
    st.tuples(st.just("put"), _key, values, _lease),
    st.tuples(st.just("delete"), _key),
    st.tuples(st.just("delete"), _key, _key),
    st.tuples(st.just("transact"), st.lists(_change, max_size=4, unique_by=lambda change: change[0])),
    st.tuples(st.just("expire"), st.just(7)),
    st.tuples(st.just("pass_by")),
)
steps = st.lists(_step, max_size=24)


def played(model: EtcdModel, taken: list[tuple[object, ...]]) -> EtcdModel:
    """Return *model* after the steps *taken*."""
    for verb, *arguments in taken:
        getattr(model, str(verb))(*arguments)
    return model


histories = st.builds(lambda taken: played(EtcdModel(), taken), steps)


def stamped(history: list[Unstamped], start: datetime = START) -> list[Batch]:
    """Return *history* as batches a second apart, the first a second after *start*."""
    return [
        Batch(revision, start + timedelta(seconds=place), events)
        for place, (revision, events) in enumerate(history, 1)
    ]
