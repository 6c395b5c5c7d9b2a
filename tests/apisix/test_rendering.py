"""Whole files: any state, in any form, read back by the gateway's parser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_values import (
    TRICKY_TEXTS,
    dumped,
    gateways,
    lua,
    odd_values,
    routes,
    substituted,
    substituted_after_parsing,
    texts,
    values,
)
from hypothesis import example, given
from hypothesis import strategies as st

from replicator.apisix import Options, Rendering, cjson, render
from replicator.errors import UsageError

Lyaml = "Callable[[bytes], Any]"
OPTIONS = Options()


def text(rendering: Rendering, *comment_lines: str) -> bytes:
    return b"".join(rendering.chunks(comment_lines))


def metadata(contents: list[Any]) -> list[tuple[bytes, bytes]]:
    """Return a state of plugin metadata, where any content is allowed."""
    return [
        (b"/apisix/plugin_metadata/%04d" % number, dumped({"id": f"{number:04d}", "x": content}))
        for number, content in enumerate(contents)
    ]


@given(st.lists(values, max_size=8))
@example([[{"": [{}, {"a": "x\ny\n"}]}], "a\nb", {"? x": {"y" * 2000: ["z" * 2000]}}])
@example(TRICKY_TEXTS)
@example([dict.fromkeys(TRICKY_TEXTS, 1)])
def test_any_value_reads_back_in_either_style(lyaml: Lyaml, contents: list[Any]) -> None:
    expected = lua(
        {"plugin_metadata": [json.loads(value) for _, value in metadata(contents)]} if contents else {}
    )
    for style in ("flow", "block"):
        file = text(render(metadata(contents), OPTIONS, style=style))
        assert lua(lyaml(file)) == expected
        assert b"${{" not in file
        assert file.endswith(b"\n#END\n")
        assert file.isascii()


@given(st.lists(values, max_size=8))
@example([[text] for text in TRICKY_TEXTS])
def test_any_value_reads_back_where_variables_are_replaced_after_parsing(
    lyaml: Lyaml, contents: list[Any]
) -> None:
    state = metadata(contents)
    rendering = render(state, Options(version="3.16"))
    kept = [json.loads(value) for key, value in state if key.decode() not in _refused(rendering)]
    assert lua(substituted_after_parsing(lyaml(text(rendering)))) == lua(
        {"plugin_metadata": kept} if kept else {}
    )
    for key, value in state:
        assert (key.decode() in _refused(rendering)) == _has_template_key(json.loads(value))


def _refused(rendering: Rendering) -> set[str]:
    return {refusal.key for refusal in rendering.report.refused}


def _has_template_key(value: Any) -> bool:
    if isinstance(value, dict):
        return any("${{" in key or _has_template_key(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_template_key, value))


@given(st.lists(odd_values, max_size=8))
def test_what_yaml_cannot_carry_is_told(lyaml: Lyaml, contents: list[Any]) -> None:
    state = metadata(contents)
    rendering = render(state, OPTIONS)
    read = {item["id"]: item.get("x") for item in lyaml(text(rendering)).get("plugin_metadata", [])}
    inexact = {entry.key for entry in rendering.report.inexact}
    for number, content in enumerate(contents):
        key = f"/apisix/plugin_metadata/{number:04d}"
        carried = _without_null_members({"x": content})
        assert (key in _refused(rendering)) == _is_impossible(carried)
        if key not in _refused(rendering):
            assert lua(read[f"{number:04d}"]) == lua(carried.get("x"))
            assert (key in inexact) == (_has_empty_array(carried) or carried != {"x": content})


def _without_null_members(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null_members(item) for key, item in value.items() if item is not None}
    return [_without_null_members(item) for item in value] if isinstance(value, list) else value


def _is_impossible(value: Any) -> bool:
    if isinstance(value, dict):
        return any(key == "<<" or "\0" in key or _is_impossible(item) for key, item in value.items())
    if isinstance(value, list):
        return any(map(_is_impossible, value))
    return value is None or (isinstance(value, str) and "\0" in value)


def _has_empty_array(value: Any) -> bool:
    if isinstance(value, list):
        return not value or any(map(_has_empty_array, value))
    return isinstance(value, dict) and any(map(_has_empty_array, value.values()))


@given(st.lists(odd_values, max_size=8))
def test_json_carries_all_that_etcd_holds(contents: list[Any]) -> None:
    state = metadata(contents)
    rendering = render(state, OPTIONS, "json")
    read = substituted_after_parsing(cjson.decode(text(rendering)))
    expected = {"plugin_metadata": [cjson.decode(value) for _, value in state]} if state else {}
    assert repr(lua(read)) == repr(lua(expected))
    assert not rendering.report.refused


keys = st.builds(
    bytes.__add__,
    st.sampled_from(
        [b"/apisix/", b"/apisix/routes/", b"/apisix/consumers/", b"/apisix/secrets/", b"/apisix/plugin_", b""]
    ),
    st.sampled_from([b"1", b"", b"plugins", b"a/b", b"j/credentials/c", b"metadata/x", b"\xff", b"x\0"])
    | st.binary(max_size=4),
)


@given(st.dictionaries(keys, odd_values.map(dumped) | routes.map(dumped) | st.binary(max_size=9)), gateways)
def test_any_bytes_give_a_file_and_every_key_is_accounted_for(
    lyaml: Lyaml, state: dict[bytes, bytes], options: Options
) -> None:
    for form in ({"style": "flow"}, {"style": "block"}, {"format_": "json"}):
        rendering = render(state.items(), options, **form)
        report = rendering.report
        file = cjson.decode(text(rendering)) if "format_" in form else lyaml(text(rendering))
        left_out = [refusal.key for refusal in report.refused] + list(report.ignored)
        in_file = sum(len(items) for name, items in file.items() if name != "plugins") + ("plugins" in file)
        assert len(set(left_out)) == len(left_out)
        assert len(left_out) + in_file == len(state)
        assert not {entry.key for entry in (*report.inexact, *report.stripped)} & set(left_out)


@given(st.dictionaries(keys, routes.map(dumped)), st.randoms(use_true_random=False))
def test_the_file_depends_on_the_state_only(state: dict[bytes, bytes], random: Any) -> None:
    items = list(state.items())
    before = render(items, OPTIONS)
    random.shuffle(items)
    after = render(iter(items), OPTIONS)
    assert text(before) == text(after) == text(after)
    assert before.report == after.report


@given(st.lists(st.text() | texts, max_size=4))
@example(["key\nroutes: []", "\udcff\x85\u2028", "#END", "\\", "a ${{ B }} $"])
def test_comments_never_touch_the_content(lyaml: Lyaml, lines: list[str]) -> None:
    state = metadata(["x"])
    file = text(render(state, OPTIONS), *lines)
    assert file.isascii()
    assert substituted(file.decode()) == file.decode()
    assert [line[:1] for line in file.splitlines()[: len(lines) + 1]] == [b"#"] * len(lines) + [b"p"]
    assert lyaml(file) == lyaml(text(render(state, OPTIONS)))


@pytest.mark.parametrize("style", ["flow", "block"])
def test_an_empty_state_is_a_mapping(style: Any, lyaml: Lyaml) -> None:
    file = text(render([], OPTIONS, style=style), "empty")
    assert file == b"# empty\n{}\n#END\n"
    assert lyaml(file) == {}
    assert text(render([], OPTIONS, "json"), "no comments here") == b"{}\n"


def test_json_needs_a_gateway_that_knows_it() -> None:
    with pytest.raises(UsageError):
        render([], Options(version="3.12"), "json")


def test_flow_style_has_an_item_a_line_and_block_style_is_for_people() -> None:
    state = [
        (
            b"/apisix/routes/1",
            b'{"uris":["/a"],"plugins":{"mine":{"code":"-- lua\\nok()\\n","on":{}}}}',
        ),
        (b"/apisix/routes/2", b'{"uri":"/\\u00e9","id":"2"}'),
    ]
    assert text(render(state, OPTIONS)).decode() == (
        "routes:\n"
        '- {"id":"1","uris":["/a"],"plugins":{"mine":{"code":"-- lua\\nok()\\n","on":{}}}}\n'
        '- {"id":"2","uri":"/\\u00e9"}\n'
        "#END\n"
    )
    assert text(render(state, OPTIONS, style="block")).decode() == (
        "routes:\n"
        '- id: "1"\n'
        "  uris:\n"
        '    - "/a"\n'
        "  plugins:\n"
        "    mine:\n"
        "      code: |2\n"
        "        -- lua\n"
        "        ok()\n"
        '      "on": {}\n'
        '- id: "2"\n'
        '  uri: "/\\u00e9"\n'
        "#END\n"
    )
    assert text(render(state, OPTIONS, "json")).decode() == (
        '{"routes":[\n'
        '{"id":"1","uris":["/a"],"plugins":{"mine":{"code":"-- lua\\nok()\\n","on":{}}}},\n'
        '{"id":"2","uri":"/é"}\n'
        "]}\n"
    )


@pytest.mark.parametrize("form", [{"style": "flow"}, {"style": "block"}, {"format_": "json"}], ids=str)
def test_hostile_values_take_linear_time_and_space(form: Any, lyaml: Lyaml) -> None:
    wide = "[" * 900 + ",".join(["1"] * 100_000) + "]" * 900
    state = [
        (b"/apisix/plugin_metadata/deep", b'{"id":"deep","x":%b}' % wide.encode()),
        (
            b"/apisix/plugin_metadata/keys",
            json.dumps({"id": "keys"} | {f"k{n}": n for n in range(50_000)}).encode(),
        ),
        (
            b"/apisix/plugin_metadata/long",
            json.dumps({"id": "long", "k" * 100_000: '"$\n' * 300_000}).encode(),
        ),
        (b"/apisix/routes/1", b'{"vars":%b}' % (b"[" * 998 + b"null" + b"]" * 998)),
    ]
    rendering = render(state, OPTIONS, **form)
    file = text(rendering)
    assert len(file) < 15 * sum(len(value) for _, value in state)
    items = (cjson.decode(file) if "format_" in form else lyaml(file))["plugin_metadata"]
    assert [item["id"] for item in items] == ["deep", "keys", "long"]
    assert items[2]["k" * 100_000] == '"$\n' * 300_000
