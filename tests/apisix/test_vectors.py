"""The golden vectors, each rendered in every form and read as a gateway reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from gateway_values import substituted_after_parsing
from golden import Vector, vectors

from replicator.apisix import Options, Rendering, cjson, render

if TYPE_CHECKING:
    from collections.abc import Callable

LISTS = ("refused", "ignored", "inexact", "stripped")


def options(vector: Vector, version: str = "3.18") -> Options:
    given = vector.options
    plugins, stream_plugins = (
        None if given[name] is None else frozenset(given[name]) for name in ("plugins", "stream_plugins")
    )
    keyring = tuple(key.encode() for key in given["keyring"] or ())
    return Options(vector.prefix.encode(), keyring, plugins, stream_plugins, version)


def rendered(vector: Vector, version: str = "3.18", **form: Any) -> Rendering:
    pairs = [(key.encode(), value) for key, value, _ in vector.pairs()]
    return render(pairs, options(vector, version), **form)


def text(rendering: Rendering) -> bytes:
    return b"".join(rendering.chunks(["for ${{NOBODY}}"]))


@pytest.mark.parametrize("style", ["flow", "block"])
@pytest.mark.parametrize("vector", vectors(), ids=str)
def test_yaml(vector: Vector, style: str, lyaml: Callable[[bytes], Any]) -> None:
    rendering = rendered(vector, style=style)
    file = text(rendering)
    assert vector.found(lyaml(file)) == vector.expected()
    assert file.endswith(b"\n#END\n")
    assert b"${{" not in file
    report = rendering.report
    either = {entry["key"] for entry in vector.content.get("either", ())}
    told = {name: {getattr(entry, "key", entry) for entry in getattr(report, name)} for name in LISTS}
    assert {name: keys - either for name, keys in told.items()} == {
        name: {entry if isinstance(entry, str) else entry["key"] for entry in vector.content.get(name, ())}
        for name in LISTS
    }


@pytest.mark.parametrize("vector", vectors(), ids=str)
def test_what_is_told(vector: Vector) -> None:
    report = rendered(vector).report
    assert {refusal.key: refusal.held_by_gateway for refusal in report.refused} == {
        refusal["key"]: refusal["held_by_etcd_dp"] for refusal in vector.content["refused"]
    }
    assert {entry.key: list(entry.plugins) for entry in report.stripped} == {
        entry["key"]: entry["plugins"] for entry in vector.content.get("stripped", ())
    }


@pytest.mark.parametrize("vector", vectors(), ids=str)
def test_yaml_for_a_gateway_that_replaces_variables_after_parsing(
    vector: Vector, lyaml: Callable[[bytes], Any]
) -> None:
    rendering = rendered(vector, "3.16")
    late = {refusal.key for refusal in rendering.report.refused} - {
        refusal["key"] for refusal in vector.content["refused"]
    }
    assert all("/credentials/" in key or vector.name.endswith("template-text") for key in late)
    if not late:
        read = substituted_after_parsing(lyaml(text(rendering)))
        assert vector.found(read) == vector.expected()


@pytest.mark.parametrize("vector", vectors(), ids=str)
def test_json_is_read_back_as_etcd_holds_it(vector: Vector) -> None:
    """What only YAML can't carry is in the JSON file; all the rest is as in the YAML file."""
    rendering = rendered(vector, format_="json")
    file = substituted_after_parsing(cjson.decode(text(rendering)))
    only_yaml_refuses = {
        refusal["key"]
        for refusal in vector.content["refused"]
        if any(word in refusal["reason"] for word in ("YAML", "null"))
    }
    assert {refusal.key for refusal in rendering.report.refused} == {
        refusal["key"] for refusal in vector.content["refused"]
    } - only_yaml_refuses
    if not only_yaml_refuses and not vector.content["inexact"]:
        assert vector.found(file) == vector.expected()
