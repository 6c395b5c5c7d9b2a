"""The standalone config.yaml: to APISIX's own parser all but what was meant to change is as before."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st
from servers.lua import Lyaml, LyamlRefused

from replicator.apisix.gateway_config import ENVIRONMENT, SHARED, is_standalone, standalone_config
from replicator.errors import UsageError

SCALARS = [
    *(
        "yes",
        "012",
        "08",
        "1e3",
        "0x1F",
        "1_000",
        "12:30",
        "1e400",
        ".inf",
        "-.5",
        "~",
        "null",
        "''",
        "2001-12-14",
    ),
    *(
        '"\\u0024{{NOT}}"',
        "${{KEYRING:=edd1c9f0985e76a2}}",
        '"a # b"',
        "'it''s'",
        '"\\x41\\n"',
        "!!str 012",
        "a:b",
    ),
    *(
        "{a: 1, b: [x, 'y']}",
        "[]",
        "{}",
        "[1, 2]",
        '["a", {b: c}]',
        "|\n literal\n  more\n",
        ">-\n folded\n text",
    ),
]
NAMES = ["x", "plugin", '"quoted key"', "yes", "a-b", "8"]


def block(entries: dict[str, Any], indent: str, step: str) -> list[str]:
    """Return the lines of a block mapping."""
    lines = []
    for name, value in entries.items():
        if isinstance(value, dict) and value:
            lines += [
                f"{indent}{name}:{' # of a section' * (len(name) % 2)}",
                *block(value, indent + step, step),
            ]
        elif isinstance(value, list):
            lines += [f"{indent}{name}:", *[f"{indent}{step}- {item}" for item in value]]
        elif isinstance(value, str) and "\n" in value:
            first, *rest = value.rstrip("\n").split("\n")
            lines += [f"{indent}{name}: {first}", *[f"{indent}{step}{line}" for line in rest]]
        else:
            lines += [f"{indent}{name}: {'{}' if value == {} else value}"]
    return lines


leaves = st.sampled_from(SCALARS) | st.lists(
    st.sampled_from(["a", "'b'", "yes", "{c: 1}"]), min_size=1, max_size=3
)
others = st.dictionaries(st.sampled_from(NAMES), leaves, max_size=3)
sections = {
    "deployment": st.fixed_dictionaries(
        {},
        optional={
            "role": st.sampled_from(
                ["traditional", "'control_plane'", '"data_plane"', "~", "${{ROLE:=traditional}}"]
            ),
            "etcd": others,
            "role_data_plane": others | st.just("~") | st.just("{control_plane: {host: [a]}}"),
            **dict.fromkeys(NAMES[:2], leaves),
        },
    ),
    "apisix": st.fixed_dictionaries(
        {}, optional={path[1]: leaves | others for path in SHARED if path[0] == "apisix"} | {"x": leaves}
    ),
    "plugins": leaves,
    "discovery": others,
    "nginx_config": st.fixed_dictionaries({}, optional={"envs": st.just(["A", "'B'"]), "x": leaves}),
    "mine": leaves,
}


@st.composite
def configs(draw) -> str:
    """Return the text of a config.yaml."""
    chosen = draw(st.fixed_dictionaries({}, optional=sections))
    order = draw(st.permutations(list(chosen)))
    step = draw(st.sampled_from([" ", "  ", "    "]))
    lines = block({name: chosen[name] for name in order}, "", step)
    for _ in range(draw(st.integers(0, 2))):
        lines.insert(
            draw(st.integers(0, len(lines))), draw(st.sampled_from(["# a comment", "", "    # ${{HERE}}"]))
        )
    text = draw(st.sampled_from(["", "\ufeff", "---\n", "# first\n"])) + "\n".join(lines)
    text += draw(st.sampled_from(["", "\n", "\n\n# last\n", "\n...\n"][: 4 if chosen else 3]))
    if "|" in text or ">-" in text:  # a block scalar at the end has no line break only if the file has none
        text = text.rstrip("\n") + "\n"
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


def read(lyaml: Lyaml, text: bytes) -> dict[str, Any]:
    """Return what APISIX reads; no generated case may fail for the parser's own reasons."""
    if not text:  # the parser's process would wait for more
        return {}
    try:
        document = lyaml(text)
    except LyamlRefused:
        reject()
    except json.JSONDecodeError:  # nil, which is no JSON
        return {}
    return document if isinstance(document, dict) else {}


def at(document: Any, path: tuple[str, ...]) -> Any:
    """Return what is at *path*, None if nothing is."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def put(document: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        if not isinstance(document.get(name), dict):
            document[name] = {}
        document = document[name]
    document[path[-1]] = value


def expected(own: dict[str, Any], shared: dict[str, Any] | None, provider: str) -> dict[str, Any]:
    """Return what APISIX must read."""
    result = copy.deepcopy(own)
    for path in SHARED:
        if (value := at(shared, path)) not in (None, "<null>"):
            put(result, path, value)
    mine, theirs = (at(each, ENVIRONMENT) for each in (own, shared))
    mine, theirs = (each if isinstance(each, list) else [] for each in (mine, theirs))
    if more := [name for name in theirs if name not in mine]:
        put(result, ENVIRONMENT, mine + more)
    put(result, ("deployment", "role"), "data_plane")
    put(result, ("deployment", "role_data_plane", "config_provider"), provider)
    return result


@given(configs(), st.none() | configs(), st.sampled_from(["yaml", "json"]))
@example("plugins: # all\n- a # one\n", "plugins:\n  - b\n", "yaml")
@example("{deployment: {role: traditional}, apisix: {x: 1}}", None, "yaml")
@example("", "discovery:\n  dns:\n    servers:\n    - a\n", "json")
@example("# nothing but words", None, "yaml")
def test_only_what_was_meant_is_another_to_apisix(lyaml, own, shared, provider) -> None:
    before = read(lyaml, own.encode())
    theirs = None if shared is None else read(lyaml, shared.encode())

    made = standalone_config(own.encode(), None if shared is None else shared.encode(), provider)

    assert lyaml(made) == expected(before, theirs, provider)
    assert is_standalone(made)


@given(configs())
def test_without_the_control_planes_only_the_lines_of_the_role_differ(lyaml, own) -> None:
    read(lyaml, own.encode())
    made = standalone_config(own.encode(), None, "yaml").decode()

    kept = [
        line for line in own.strip("\ufeff").splitlines() if "role" not in line and "deployment" not in line
    ]
    left = iter(made.strip("\ufeff").splitlines())
    assert [line for line in kept if line not in left] == []


@pytest.mark.parametrize(
    ("own", "says"),
    [
        (b"deployment: [", "no YAML"),
        (b"- a\n", "no mapping"),
        (b"\xff\xfe", "no UTF-8"),
        (b"a: 1\n---\nb: 2\n", "no YAML"),
        (b"deployment:\n  role: dataplane\n", "deployment.role is none of"),
        (b"deployment: 1\n", "deployment is no mapping"),
        (b"deployment: {}\ndeployment: {}\n", "deployment stands there twice"),
        (
            b"deployment:\n  role: data_plane\n  role_data_plane: {config_provider: yaml}\n",
            "from a file already",
        ),
        (b"deployment:\n  role_traditional:\n    config_provider: yaml\n", "from a file already"),
        (b"deployment:\n  role: [traditional]\n", "deployment.role is no text"),
        (b"deployment:\n  ? role\n  : traditional\n  ? x\n  : 1\n", "can't be turned to a file"),
    ],
)
def test_what_is_no_configuration_is_refused_without_a_word_of_it(own: bytes, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refusal:
        standalone_config(
            own + b"\nsecret: edd1c9f0985e76a2\n" * (says.startswith("deployment")), None, "yaml"
        )

    assert "edd1c9f0985e76a2" not in f"{refusal.value} {refusal.value.hint}"


def test_what_the_control_plane_says_is_refused_where_it_can_not_be_taken_over() -> None:
    with pytest.raises(UsageError, match=r"the control plane's config\.yaml can't be used: it is no YAML"):
        standalone_config(b"", b"plugins: [", "yaml")
    with pytest.raises(UsageError, match="written in flow style"):
        standalone_config(b"{x: 1}", b"plugins:\n  - a\n", "yaml")
    with pytest.raises(UsageError, match="can't be turned to a file"):
        standalone_config(b"", b"x: &a [cors]\nplugins: *a\n", "yaml")
