"""What only one form of the file refuses."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_cases import HELD

from replicator.apisix import Options, cjson, render


def test_json_refuses_only_what_no_file_can_hold() -> None:
    deepest, deeper = b'{"x":%b}' % (b"[" * 997 + b"]" * 997), b'{"x":%b}' % (b"[" * 998 + b"]" * 998)
    state = [
        (b"/apisix/plugin_metadata/a", b'{"id":"a","<<":null,"b\\u0000":[],"c":"\xff"}'),
        (b"/apisix/plugins", b'[{"name":"cors","x":null}]'),
        (b"/apisix/routes/1", deepest),
        (b"/apisix/routes/2", deeper),
        (b"/apisix/secrets/vault/\xff", b'{"id":"vault/x"}'),
    ]
    rendering = render(state, Options(), "json")
    file = cjson.decode(b"".join(rendering.chunks()))
    assert file["plugins"] == [{"name": "cors", "x": None}]
    assert file["plugin_metadata"] == [{"id": "a", "<<": None, "b\0": [], "c": "\udcff"}]
    assert file["secrets"] == [{"id": "vault/\udcff"}]
    assert [item["id"] for item in file["routes"]] == ["1"]
    assert [(refusal.key, refusal.held_by_gateway) for refusal in rendering.report.refused] == [
        ("/apisix/routes/2", HELD)
    ]
    assert not rendering.report.inexact


@pytest.mark.parametrize(
    ("version", "format_", "held"),
    [
        ("3.16", "yaml", {"/apisix/routes/2"}),
        ("3.17", "yaml", set()),
        ("3.17", "json", {"/apisix/routes/2"}),
        ("3.18", "json", set()),
    ],
)
def test_a_variable_in_a_key_needs_a_gateway_that_renames_keys_well(
    version: str, format_: Any, held: set[str]
) -> None:
    state = [(b"/apisix/routes/1", b'{"desc":"${{X}}"}'), (b"/apisix/routes/2", b'{"labels":{"${{X}}":"a"}}')]
    refused = render(state, Options(version=version), format_).report.refused
    assert {refusal.key for refusal in refused if refusal.held_by_gateway} == held
