"""The short cut against the long way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_values import gateways, lua, routes
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.apisix import Options, Rendering, cjson, render
from replicator.apisix.plain import ShortCut

Lyaml = "Callable[[bytes], Any]"
OPTIONS = Options()
QUOTE = '\\"'

spellings = st.sampled_from(
    [{"separators": (",", ":")}, {}, {"separators": (",", ":"), "indent": "\t"}, {"ensure_ascii": False}]
)


def text(rendering: Rendering) -> bytes:
    return b"".join(rendering.chunks())


@settings(max_examples=300)
@given(st.lists(st.tuples(routes, spellings), max_size=6), gateways, st.sampled_from(["yaml", "json"]))
def test_the_short_cut_changes_nothing(
    lyaml: Lyaml, stored: list[Any], options: Options, format_: Any
) -> None:
    state = [
        (b"/apisix/routes/%d" % number, json.dumps(route, **spelling).replace("/", "\\/").encode())
        for number, (route, spelling) in enumerate(stored)
    ]
    short = render(state, options, format_)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShortCut, "entry", lambda *_: None)
        patch.setattr("replicator.apisix.rendering.plain_text", lambda _: None)
        long = render(state, options, format_)
    read = lyaml if format_ == "yaml" else cjson.decode
    assert lua(read(text(short))) == lua(read(text(long)))
    assert short.report == long.report


@pytest.mark.parametrize(
    "members",
    [
        *('"a":1E5', '"a":-0', '"a":[ 1 , -0.0e-3 ]', '"a" : {"b" :1 } ', '"a":\n1', '"a":\t1', '"a":\r1'),
        *(
            '"a":"\\/\\b\\f\\t\\\\"',
            '"id":"1"',
            '"id":"2","id":"1"',
            '"a":1,"a":{"b":"$"}',
            f'"a"{" " * 2000}:1',
        ),
        *(f'"{"k" * 1100}":1', f'"{"$" * 300}":"$"', f'"a":"{"x" * 1100}","b":1', f'"{QUOTE * 600}":1'),
    ],
)
def test_a_text_that_is_an_entry_already_reads_as_it_was_stored(members: str, lyaml: Lyaml) -> None:
    value = f'{{"id":"1",{members}}}'.encode()
    file = text(render([(b"/apisix/routes/1", value)], OPTIONS))
    assert lua(lyaml(file)) == lua({"routes": [cjson.decode(value)]})
    assert len(file.splitlines()) == 3


def test_the_short_cut_is_taken_by_ordinary_routes() -> None:
    """Else the property above would show nothing, and the file would take minutes."""
    route = {
        "uri": "/a/*",
        "id": "1",
        "plugins": {"limit-count": {"count": 2, "key": "remote_addr"}, "cors": {}},
        "upstream": {"nodes": [{"host": "10.0.0.1", "port": 80, "weight": 1}], "type": "roundrobin"},
        "desc": "a full sentence, with $dollar and manual release; 2026-01-01T00:00:00.000000Z",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr("replicator.apisix.rendering.judge")
        for value in (
            json.dumps(route),
            json.dumps(route).replace("/", "\\/"),
            json.dumps({"id": "1"} | route),
        ):
            assert b'- {"id":"1",' in text(render([(b"/apisix/routes/1", value.encode())], OPTIONS))
