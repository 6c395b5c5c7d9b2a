"""The body for the Admin API: nobody replaces variables in it, and the gateway writes its numbers anew."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from gateway_values import dumped, lua, odd_values
from golden import Vector, vectors
from hypothesis import given
from hypothesis import strategies as st

from replicator.apisix import Options, Rendering, cjson, render
from replicator.errors import UsageError


def text(rendering: Rendering) -> bytes:
    return b"".join(rendering.chunks(["no comments"]))


def has_infinity(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(has_infinity, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and not math.isfinite(value)


def rewritten(value: Any) -> Any:
    """Return *value* as lua-cjson writes and reads it once more."""
    if isinstance(value, dict):
        return {key: rewritten(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rewritten(item) for item in value]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(f"{value:.14g}") if is_number else value


@given(st.lists(odd_values, max_size=8))
def test_what_the_gateway_cannot_keep_is_told(contents: list[Any]) -> None:
    state = [
        (b"/apisix/plugin_metadata/%04d" % number, dumped({"id": f"{number:04d}", "x": content}))
        for number, content in enumerate(contents)
    ]
    rendering = render(state, Options(), "api")
    read = {item["id"]: item for item in cjson.decode(text(rendering)).get("plugin_metadata", [])}
    refused = {refusal.key for refusal in rendering.report.refused}
    inexact = {entry.key for entry in rendering.report.inexact}
    for key, value in state:
        stored = cjson.decode(value)
        assert (key.decode() in refused) == has_infinity(stored)
        if key.decode() not in refused:
            assert repr(lua(read[stored["id"]])) == repr(lua(stored))
            assert (key.decode() in inexact) == (lua(rewritten(stored)) != lua(stored))


@pytest.mark.parametrize("vector", vectors(), ids=str)
def test_each_vector_is_strict_json(vector: Vector) -> None:
    """So a section's digest can be told, and a gateway of any version reads it."""
    options = Options(vector.prefix.encode())
    rendering = render([(key.encode(), value) for key, value, _ in vector.pairs()], options, "api")
    json.loads(text(rendering).decode("utf-8", "surrogateescape"), parse_constant=pytest.fail)


def test_variables_stay_as_they_are() -> None:
    rendering = render([(b"/apisix/routes/1", b'{"uri":"/${{HOME}}","x":"$\\u00e9"}')], Options(), "api")
    assert json.loads(text(rendering))["routes"][0]["uri"] == "/${{HOME}}"


def test_it_needs_a_gateway_that_has_the_api() -> None:
    with pytest.raises(UsageError):
        render([], Options(version="3.12"), "api")
