"""Random values as a gateway's etcd may hold them, and what a gateway's parsers make of a file's text."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import strategies as st

from replicator.apisix import DEFAULT_KEYRING, Options

TRICKY_TEXTS = [
    *("", "yes", "No", "on", "null", "~", "true", "012", "08", "1e3", "0x1F", "0b101", "1_000", "_1", ".5"),
    *("12:30", ".inf", ".nan", "-", "- x", "? x", "a: b", "---", "...", "&a", "*a", "!!str x", "%TAG", "@"),
    *("${{HOME}}", "$${{ HOME }}", "${{X:=y}}", "${{", "}}", "$", "$x\n${{Y}}", "#END", "#END\n#END  \n"),
    *("\\", '"', "'", "\\u0000", "\u0085", "\u2028", "\ufeff", "\ufffe", "\uffff", "\x7f", "\x9f"),
    *("line\nline", "line\n", "\n", "\nline", "line\n\n", " lead\nx", "x\n  lead", "trail \nx", "x\n \ny"),
    *("x\n\ny\n", "tab\tx\ny", "a\r\nb", "x" * 995, "x" * 1001, "$" * 400, '"' * 600, "ö" * 300),
    *("\U0001f600", "\U0010ffff", "`", "x #END"),
]

# What YAML can't carry to lyaml as a text or a key.
IMPOSSIBLE_TEXTS = ["a\0b", "\0"]

_NOT_NUL = st.characters(exclude_characters="\0", exclude_categories=["Cs"])

texts = st.sampled_from(TRICKY_TEXTS) | st.text(_NOT_NUL, max_size=8) | st.text("ab$ \n\t{}", max_size=12)
_keys = texts.filter(lambda text: text != "<<")
numbers = (
    st.integers(-(2**63), 2**63 - 1)
    | st.integers(-3, 300)
    | st.floats(allow_nan=False)
    | st.sampled_from([0.0, -0.0, 1e22, 1e16, 5e-324, 1.7976931348623157e308, float("inf"), 1 / 3])
)
scalars = st.booleans() | numbers | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=12,
)
"""What YAML can carry: any JSON value without null, NUL and the key ``<<``."""

odd_values = st.recursive(
    scalars | st.none() | st.sampled_from(IMPOSSIBLE_TEXTS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts | st.sampled_from(["<<", *IMPOSSIBLE_TEXTS]), inner, max_size=3)
    ),
    max_leaves=8,
)
"""Any JSON value."""

names = st.sampled_from(["cors", "csrf", "limit-count", "mine"])
configurations = st.fixed_dictionaries({}, optional={"key": texts, "redis_password": texts, "x": odd_values})
routes = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["0", "1", "other", 1, "no id", None]),
        "uri": texts,
        "nodes": odd_values,
        "plugins": st.dictionaries(names, configurations | odd_values, max_size=3) | st.none(),
    },
)
gateways = st.builds(
    Options,
    keyring=st.sampled_from([DEFAULT_KEYRING, ()]),
    plugins=st.none() | st.frozensets(names),
    version=st.sampled_from(["3.16", "3.18"]),
)

_VARIABLE = re.compile(r"\$\{\{\s*([A-Za-z0-9_]+[:=]?.*?)\s*\}\}", re.DOTALL | re.ASCII)


def dumped(value: Any) -> bytes:
    """Return *value* as JSON in which infinity is a literal beyond doubles, as etcd may hold it."""
    return re.sub(r"(?<![\w\"])Infinity", "1e400", json.dumps(value)).encode()


def lua(value: Any) -> Any:
    """Return *value* as Lua holds it: numbers are doubles, booleans are none, `[]` and `{}` are the same."""
    match value:
        case bool():
            return ("boolean", value)
        case int() | float():
            return float(value)
        case list():
            return [lua(item) for item in value] or {}
        case dict():
            return {key: lua(item) for key, item in value.items()}
    return value


def substituted(text: str) -> str:
    """Return *text* after APISIX's replacing of variables, where none is set; see apisix/cli/file.lua."""
    return _VARIABLE.sub(_default, text)


def _default(variable: re.Match[str]) -> str:
    name, assigned, default = variable[1].partition(":=")
    assert assigned, f"the file needs the variable {name}"
    return default.strip()


def substituted_after_parsing(value: Any) -> Any:
    """Return *value* with the variables replaced in each of its strings, as older gateways do."""
    match value:
        case str():
            return substituted(value)
        case list():
            return [substituted_after_parsing(item) for item in value]
        case dict():
            return {substituted(key): substituted_after_parsing(item) for key, item in value.items()}
    return value
