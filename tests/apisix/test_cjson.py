"""The decoder against what OpenResty's lua-cjson was seen to read, and the short cut against the long way."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from gateway_values import dumped, odd_values
from hypothesis import example, given
from hypothesis import strategies as st

from replicator.apisix.cjson import MAX_DEPTH, NotJson, decode, decode_leniently

# Read by lua-cjson 2.1.0.17 (openresty/lua-cjson 5ce46a8) itself.
TAKEN: list[tuple[bytes, Any]] = [
    (b"010", 10),
    (b"-0060", -60),
    (b"+5", 5),
    (b"0x1F", 31.0),
    (b"-0x10", -16.0),
    (b"0x.8", 0.5),
    (b"0x1p5", 32.0),
    (b"0x1p99999", math.inf),
    (b"1.", 1.0),
    (b"-.5", -0.5),
    (b"1E+3", 1000.0),
    (b"010.5", 10.5),
    (b"-0", 0),
    (b"1e400", math.inf),
    (b"-1e400", -math.inf),
    (b"1e-400", 0.0),
    (b"inf", math.inf),
    (b"-Infinity", -math.inf),
    (b"9223372036854775807", 2**63 - 1),
    (b"9223372036854775808", 2**63 - 1),
    (b"12345678901234567890", 2**63 - 1),
    (b"-98765432109876543210", -(2**63)),
    (b"0000000000000000000000000001", 1),
    (b"12345678901234567890.0", 12345678901234567890.0),
    (b"1" * 5000, 2**63 - 1),
    (b'"\x01\n\t"', "\x01\n\t"),
    (b'"\xff\xed\xa0\x80"', "\udcff\udced\udca0\udc80"),
    (b'"\\ud83d\\ude00\\u0000\\/"', "\U0001f600\0/"),
    (b'{"a":[],"a":1,"b":2}', {"a": 1, "b": 2}),
    (b' \t\r\n{"a" : [ ] } ', {"a": []}),
    (b'{"a":1}\0anything', {"a": 1}),
]

REFUSED = [
    *(b"", b" ", b"init_dir", b"{", b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,}', b"[1,]", b"[,1]"),
    *(b"[1 2]", b"{} x", b"{}{}", b"{1:2}", b"{'a':1}", b"// c\n{}", b"\xef\xbb\xbf{}", b"\xa0{}"),
    *(b"\x0b1", b"tru", b"nulls", b"0X1F", b"0x", b"00x1", b".5", b"-", b"+", b"--1", b"- 1"),
    *(b"1e", b"1.5.5", b"infin", b"nan(", b"truefalse", b'"', b'"a', b'"\\"', b'"\\x41"'),
    *(b'"\\u12"', b'"\\u12zz"', b'"\\ud83d"', b'"\\ude00"', b'"\\ud83dx"', b'"\\ud83d\\u0041"'),
    *(b'"a\0b"', b"\0", b"1\0", b"[1\0]"),
]


@pytest.mark.parametrize(("text", "value"), TAKEN)
def test_takes_what_lua_cjson_takes(text: bytes, value: Any) -> None:
    for decoder in (decode, decode_leniently):
        read = decoder(text)
        assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("text", [b"nan", b"NaN", b"-nan", b"nan(a_1)"])
def test_takes_nan(text: bytes) -> None:
    assert math.isnan(decode(text))


@pytest.mark.parametrize("text", REFUSED)
def test_refuses_what_lua_cjson_refuses(text: bytes) -> None:
    for decoder in (decode, decode_leniently):
        with pytest.raises(NotJson):
            decoder(text)


def test_nests_to_the_limit_and_no_deeper() -> None:
    assert decode(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(NotJson, match="deeper"):
        decode(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 1_500_000,
        b'{"a":' * 300_000,
        b'"' + b"\\n" * 700_000,
        b"9" * 1_500_000 + b"x",
        b"0." + b"1" * 1_500_000 + b"x",
    ],
    ids=["arrays", "objects", "escapes", "digits", "decimals"],
)
def test_hostile_values_are_refused_in_linear_time(text: bytes) -> None:
    with pytest.raises(NotJson) as told:
        decode(text)
    assert len(str(told.value)) < 80  # so nothing of the value is in it


@given(odd_values)
def test_strict_json_is_read_as_python_reads_it(value: Any) -> None:
    assert (
        repr(decode(dumped(value)))
        == repr(decode_leniently(dumped(value)))
        == repr(json.loads(dumped(value)))
    )


fragments = st.sampled_from(
    [
        *b'{}[],:"\\ \n\t\0',
        *(text for text, _ in TAKEN),
        *REFUSED,
        b'"a"',
        b"1",
        b"null",
        b"true",
        b"\\u",
        b"\xc3",
    ]
).map(lambda part: bytes([part]) if isinstance(part, int) else part)


@given(st.lists(fragments, max_size=8).map(b"".join) | st.binary(max_size=12))
@example(b'{"a":18446744073709551615}')
def test_the_short_cut_reads_what_the_long_way_reads(text: bytes) -> None:
    assert _answer(decode, text) == _answer(decode_leniently, text)


def _answer(decoder: Any, text: bytes) -> str:
    try:
        return repr(decoder(text))
    except NotJson:
        return "refused"
