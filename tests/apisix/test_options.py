"""What is told of a gateway: taken in the shapes that users have, else refused with a hint and no secret."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.apisix import DEFAULT_KEYRING, Options, keyring, plugin_lists
from replicator.errors import UsageError

KEY = "sixteen-bytes-ok"
CONFIG = {"apisix": {"data_encryption": {"keyring": [KEY], "enable_encrypt_fields": True}}}


@pytest.mark.parametrize("version", ["3.10", "3.17", "3.18", "3.18.0", "3.14.1"])
def test_known_versions(version: str) -> None:
    assert Options(version=version).version == version


@pytest.mark.parametrize(
    "version", ["3.9", "2.15", "3.19", "4.0", "3", "", "latest", "3.18\n", "v3.18", "3.1٨"]
)
def test_unknown_versions(version: str) -> None:
    with pytest.raises(UsageError) as told:
        Options(version=version)
    assert told.value.hint


def test_a_prefix_ends_without_a_slash() -> None:
    with pytest.raises(UsageError):
        Options(prefix=b"/apisix/")


@pytest.mark.parametrize("key", [b"", b"short", b"x" * 24, b"x" * 33])
def test_keys_of_no_known_length(key: bytes) -> None:
    with pytest.raises(UsageError):
        Options(keyring=(key,))


def test_no_key_is_shown() -> None:
    assert KEY not in repr(Options(keyring=(KEY.encode(),)))


@pytest.mark.parametrize(
    ("document", "keys"),
    [
        ([], ()),
        ([KEY, KEY * 2], (KEY.encode(), KEY.encode() * 2)),
        (["ä" * 8], ("ä".encode() * 8,)),
        (CONFIG, (KEY.encode(),)),
        ({"apisix": {"data_encryption": {"keyring": KEY}}}, (KEY.encode(),)),
        ({"apisix": {"data_encryption": {"keyring": []}}}, ()),
        ({"apisix": {"data_encryption": {"keyring": [KEY], "enable_encrypt_fields": False}}}, ()),
        ({"apisix": {"data_encryption": {"keyring": [KEY], "enable": False}}}, ()),
        ({"apisix": {"data_encryption": {}}}, DEFAULT_KEYRING),
        ({"apisix": {"node_listen": 9080}, "deployment": {}}, DEFAULT_KEYRING),
    ],
)
def test_keyrings(document: Any, keys: tuple[bytes, ...]) -> None:
    assert keyring(document) == keys


@pytest.mark.parametrize(
    "document",
    [None, 7, KEY, [KEY, 7], [KEY + "x"], {}, {"keyring": [KEY]}, {"apisix": [KEY]}]
    + [{"apisix": {"data_encryption": inner}} for inner in (KEY, {"keyring": 7}, {"keyring": [KEY + "x"]})],
)
def test_no_keyrings(document: Any) -> None:
    with pytest.raises(UsageError) as told:
        keyring(document)
    assert told.value.hint
    assert KEY not in str(told.value)


@pytest.mark.parametrize(
    ("document", "lists"),
    [
        ([], ({}, None)),
        (["cors", "csrf"], ({"cors", "csrf"}, None)),
        ({"plugins": ["cors"]}, ({"cors"}, None)),
        ({"stream_plugins": []}, (None, set())),
        ({"apisix": {}, "plugins": ["a"], "stream_plugins": ["b"]}, ({"a"}, {"b"})),
    ],
)
def test_plugin_lists(document: Any, lists: Any) -> None:
    assert plugin_lists(document) == tuple(names if names is None else frozenset(names) for names in lists)


@pytest.mark.parametrize(
    "document",
    [None, "cors", {}, {"plugin": ["cors"]}, [1], [""], {"plugins": None}, {"plugins": {"cors": {}}}],
)
def test_no_plugin_lists(document: Any) -> None:
    with pytest.raises(UsageError) as told:
        plugin_lists(document)
    assert told.value.hint
