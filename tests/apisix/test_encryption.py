"""The table of encrypted fields: APISIX's own, the user's, a gateway's; and where its paths lead."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.apisix import EncryptFields
from replicator.apisix.encryption import decrypt_fields
from replicator.errors import UsageError


def test_the_built_in_table() -> None:
    table = EncryptFields.builtin()
    assert table.in_resources["kafka-logger"] == (("brokers", "sasl_config", "password"),)
    assert table.in_metadata["azure-functions"] == (("master_apikey",),)
    assert table.in_consumers["key-auth"] == (("key",),)
    assert table.in_consumers["csrf"] == (("key",),)  # it has no consumer_schema, so its schema holds
    assert "key-auth" not in table.in_resources
    assert "ldap-auth-advanced" in table.in_resources
    assert "ldap-auth-advanced" not in table.in_consumers  # its consumer_schema is there, and empty


def test_a_table_is_extended_plugin_by_plugin() -> None:
    own = EncryptFields.of({"csrf": {"metadata_schema": ["a.b"]}, "mine": {"schema": ["x"]}})
    table = EncryptFields.builtin().extended(own)
    assert "csrf" not in table.in_resources
    assert table.in_metadata["csrf"] == (("a", "b"),)
    assert table.in_consumers["mine"] == (("x",),)
    assert table.in_consumers["key-auth"] == (("key",),)


@pytest.mark.parametrize(
    "settings",
    [None, [], {"csrf": ["key"]}, {"csrf": {"schema": "key"}}, {"csrf": {"shema": ["key"]}}, {1: {}}],
)
def test_no_table(settings: Any) -> None:
    with pytest.raises(UsageError) as told:
        EncryptFields.of(settings)
    assert told.value.hint


def test_a_gateway_tells_its_table() -> None:
    table = EncryptFields.from_schema(
        {
            "main": {"route": {}},
            "plugins": {
                "csrf": {
                    "version": 0.1,
                    "priority": 2980,
                    "schema": {"type": "object", "properties": {}, "encrypt_fields": ["key"]},
                    "metadata_schema": {"type": "object", "encrypt_fields": {}},
                },
                "ldap": {"schema": {"encrypt_fields": ["a.b"]}, "consumer_schema": {"type": "object"}},
                "cors": {"schema": {"type": "object"}},
            },
            "stream_plugins": {"mqtt-proxy": {"schema": {}}},
        }
    )
    assert table.in_resources == {"csrf": (("key",),), "ldap": (("a", "b"),)}
    assert table.in_consumers == {"csrf": (("key",),)}
    assert table.in_metadata == {}


@pytest.mark.parametrize("document", [None, [], {}, {"plugins": []}, {"plugins": {"csrf": {"schema": []}}}])
def test_no_schema(document: Any) -> None:
    with pytest.raises(UsageError) as told:
        EncryptFields.from_schema(document)
    assert told.value.hint


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a", {"a": "x", "b": "x"}, {"a": "X", "b": "x"}),
        ("a", {"a": ["x", 1, None, {"y": "x"}, ["x"]]}, {"a": ["X", 1, None, {"y": "x"}, ["x"]]}),
        ("a", {"a": {"y": "x", "z": ["x"], "n": None}}, {"a": {"y": "X", "z": ["x"], "n": None}}),
        ("a.b", {"a": {"b": "x", "c": "x"}}, {"a": {"b": "X", "c": "x"}}),
        ("a.b", {"a": [{"b": "x"}, "x", None, [{"b": "x"}], {"b": ["x"]}]},
                {"a": [{"b": "X"}, "x", None, [{"b": "x"}], {"b": ["X"]}]}),
        ("a.b.c", {"a": [{"b": [{"c": "x"}, {}]}]}, {"a": [{"b": [{"c": "X"}, {}]}]}),
        ("a.b", {"a": "x"}, {"a": "x"}),
        ("a.b", {}, {}),
        ("a", {"a": 1}, {"a": 1}),
        ("a", [{"a": "x"}], [{"a": "x"}]),
    ],
)  # fmt: skip
def test_paths(path: str, before: Any, after: Any) -> None:
    decrypt_fields(before, (tuple(path.split(".")),), str.upper)
    assert before == after
