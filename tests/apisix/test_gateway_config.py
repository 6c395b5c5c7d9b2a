"""A config.yaml that is turned to the file: APISIX's own parser finds all the rest as it was."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.apisix.gateway_config import standalone_config
from replicator.errors import UsageError

if TYPE_CHECKING:
    from servers.lua import Lyaml

CONFIG = b"""\
# our gateway
apisix:
  node_listen: 9080          # the port
  enable_ipv6: no
  odd: [012, 1e3, 0x1F, .5, 12:30, null, on]
  data_encryption:
    keyring: ["0123456789abcdef"]
  key: ${{KEY:=abc}}
  quoted: 'it''s "so"'
nginx_config:
  http_configuration_snippet: |
    server { listen 1; }
    # not a comment of YAML
deployment:
  role: traditional
  role_traditional: {config_provider: etcd}
  etcd:
    host: ["http://127.0.0.1:2379"]
plugins: [cors, key-auth]
"""

# Scalars as people write them, which two parsers may read in two ways.
scalars = st.sampled_from(
    [
        "1",
        "012",
        "1e3",
        "0x1F",
        "yes",
        "off",
        "~",
        "''",
        '"a:b"',
        '"${{X}}"',
        "a-b",
        "1_000",
        "12:30",
        ".5",
        "'1'",
        "08",
        "_1",
        "1e400",
        "null",
        "No",
        "TRUE",
    ]
)
texts = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(["a", "b_c", "'d e'", "08"]), inner, max_size=3).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
        )
    ),
    max_leaves=8,
)


def turned(document: Any, provider: str = "yaml") -> Any:
    """Return *document* as it should be after the switch."""
    expected = copy.deepcopy(document) or {}
    deployment = expected.setdefault("deployment", {})
    deployment["role"], deployment["role_data_plane"] = "data_plane", {"config_provider": provider}
    return expected


@pytest.mark.parametrize("provider", ["yaml", "json"])
def test_only_the_role_and_the_provider_change(lyaml: Lyaml, provider: Any) -> None:
    body = standalone_config(CONFIG, None, provider)
    assert lyaml(body) == turned(lyaml(CONFIG), provider)
    for line in CONFIG.splitlines():
        if b"role: " not in line and b"host" not in line:
            assert line in body.splitlines()
    assert standalone_config(body, None, provider) == body


@given(texts, texts)
def test_what_people_write_reads_as_before(lyaml: Lyaml, one: str, other: str) -> None:
    text = f"apisix:\n  x: {one}\nother: {other}\n".encode()
    assert lyaml(standalone_config(text, None, "yaml")) == turned(lyaml(text))


@pytest.mark.parametrize("text", [b"", b"# nothing\n", b"deployment:\n", b"{}\n"])
def test_an_empty_configuration_is_one(lyaml: Lyaml, text: bytes) -> None:
    assert lyaml(standalone_config(text, None, "yaml")) == turned({})


def test_what_both_planes_must_share_is_taken_over(lyaml: Lyaml) -> None:
    shared = b"""\
apisix: {data_encryption: {keyring: [edd1c9f0985e76a2]}, node_listen: 1, proxy_mode: http}
plugins: [cors]
discovery: {dns: {servers: ["127.0.0.1:53"]}}
deployment: {role: control_plane}
"""
    expected = turned(lyaml(CONFIG))
    expected["apisix"]["data_encryption"] = {"keyring": ["edd1c9f0985e76a2"]}
    expected["apisix"]["proxy_mode"] = "http"
    expected["plugins"] = ["cors"]
    expected["discovery"] = {"dns": {"servers": ["127.0.0.1:53"]}}
    assert lyaml(standalone_config(CONFIG, shared, "yaml")) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"a: [", "is no YAML"),
        (b"\xff", "is no YAML"),
        (b"- a", "is no mapping"),
        (b"deployment: {role: queen}", "a deployment.role that APISIX doesn't know"),
        (b"deployment: 5", "has a deployment that is no mapping"),
        (b"apisix: 5", None),
    ],
)
def test_what_is_no_configuration_is_refused_without_a_quote(text: bytes, complaint: str | None) -> None:
    if complaint is None:
        assert standalone_config(text, None, "yaml")
        return
    with pytest.raises(UsageError, match=complaint) as refused:
        standalone_config(text, None, "yaml")
    assert "queen" not in str(refused.value)
