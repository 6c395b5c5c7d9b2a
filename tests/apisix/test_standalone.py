"""A file that we wrote, read back and written again, is the same file; and what else may be in one."""

from __future__ import annotations

import json

import pytest
from golden import Vector, vectors
from hypothesis import given
from hypothesis import strategies as st

from replicator.apisix import DEFAULT_KEYRING, Options, render
from replicator.apisix.keyring import Keyring
from replicator.apisix.standalone import read_standalone
from replicator.errors import UsageError

KEYS = st.sampled_from([b"0123456789abcdef", b"0123456789abcdef0123456789abcdef", *DEFAULT_KEYRING])


def file_of(items: dict[bytes, bytes], options: Options, style: str = "flow") -> bytes:
    """Return the standalone file of *items*."""
    return b"".join(render(items.items(), options, "yaml", style).chunks())  # type: ignore[arg-type]


@pytest.mark.parametrize("style", ["flow", "block"])
@pytest.mark.parametrize("vector", vectors(), ids=str)
def test_what_was_rendered_and_imported_renders_the_same(vector: Vector, style: str) -> None:
    given = vector.options
    keyring = tuple(key.encode() for key in given["keyring"] or ())
    options = Options(vector.prefix.encode(), keyring)
    first = file_of({key.encode(): value for key, value, _ in vector.pairs()}, options, style)
    imported = read_standalone(first, options)
    assert file_of(imported, options, style) == first
    assert read_standalone(file_of(imported, options, style), options) == imported


@given(st.lists(KEYS, max_size=3), st.text())
def test_what_is_encrypted_is_opened_again(keys: list[bytes], text: str) -> None:
    keyring = Keyring(keys)
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    sealed = keyring.encrypt(text)
    assert not keys or keyring.decrypt(sealed) == text
    assert (sealed != text) == bool(keys)


def test_secrets_are_encrypted_as_the_gateway_does() -> None:
    text = b"""
consumers:
  - username: jack
    plugins: {key-auth: {key: jacks-key}}
  - id: jack/credentials/one
    plugins: {key-auth: {key: another-key}}
plugin_metadata:
  - id: authz-casbin
    model: m
#END
"""
    found = read_standalone(text, Options(), 1764000000)
    assert set(found) == {
        b"/apisix/consumers/jack",
        b"/apisix/consumers/jack/credentials/one",
        b"/apisix/plugin_metadata/authz-casbin",
    }
    jack = json.loads(found[b"/apisix/consumers/jack"])
    assert jack["plugins"]["key-auth"]["key"] != "jacks-key"
    assert Keyring(DEFAULT_KEYRING).decrypt(jack["plugins"]["key-auth"]["key"]) == "jacks-key"
    assert (jack["create_time"], jack["update_time"]) == (1764000000, 1764000000)
    plain = read_standalone(text, Options(keyring=()))
    assert b"jacks-key" in plain[b"/apisix/consumers/jack"]
    assert b"create_time" not in plain[b"/apisix/consumers/jack"]


def test_what_people_write_by_hand() -> None:
    text = b"""
routes:
  -
    uri: /hello
    id: 1
    upstream:
      nodes:
        "127.0.0.1:1980": 1
      type: roundrobin
  - uri: /day
    desc: 2026-11-23
    status: 1
plugins:
  - name: limit-count
  - name: mqtt-proxy
    stream: true
services:
#END
"""
    found = read_standalone(text, Options())
    assert json.loads(found[b"/apisix/routes/1"])["id"] == "1"
    assert json.loads(found[b"/apisix/routes/arr_2"])["desc"] == "2026-11-23"
    assert json.loads(found[b"/apisix/plugins"]) == [
        {"name": "limit-count"},
        {"name": "mqtt-proxy", "stream": True},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"routes: []\n", "no #END"),
        (b"routes: [\n#END", r"no YAML: line \d+, column \d+: "),
        (b"routes:\n  - {id: 1, uri: /a, uri: /b}\n#END", "line 2, column 22: uri stands twice"),
        (b"rout: []\n#END", "rout is no section"),
        (b"routes: {a: 1}\n#END", "routes is no list"),
        (b"routes: [1]\n#END", r"routes\[1\] is no object"),
        (b"routes:\n  - {id: 1}\n  - {id: '1'}\n#END", r"routes\[2\] has the id of another one"),
        (b"consumers: [{plugins: {}}]\n#END", "has no username"),
        (b"ssls: [{cert: x}]\n#END", "has no id"),
        (b"routes: [{id: [1]}]\n#END", "has no id that is one"),
        (b"routes: [{id: true}]\n#END", "has no id that is one"),
        (b"routes: [{id: 1, priority: .nan}]\n#END", "JSON can't say"),
        (b"- 1\n#END", "no mapping of sections"),
        (b"routes: \xff\n#END", "no YAML"),
        (b"? [a]\n: 1\n#END", "no YAML"),
        (b"[" * 5000 + b"\n#END", "no YAML"),
    ],
)
def test_what_is_no_such_file_is_told(text: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_standalone(text, Options())


def test_an_empty_file_is_an_empty_gateway() -> None:
    assert read_standalone(b"{}\n#END\n", Options()) == {}
    assert read_standalone(b"#END\n", Options()) == {}
