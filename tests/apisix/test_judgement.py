"""Rules about an item's content: where they meet, their order decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from gateway_cases import HELD, NOT_HELD, Case, encrypted

from replicator.apisix import Options, render

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = {
    "a decrypted NUL": Case(
        {"routes/1": {"plugins": {"csrf": {"key": encrypted(b"a\0b")}}}}, {}, {"routes/1": HELD}
    ),
    "decrypted bytes that are no UTF-8": Case(
        {"consumers/j": {"username": "j", "plugins": {"key-auth": {"key": encrypted(b"\xff")}}}},
        {},
        {"consumers/j": HELD},
    ),
    "a decrypted variable": Case(
        {"routes/1": {"plugins": {"csrf": {"key": encrypted(b"${{HOME}}")}}}},
        {"routes": [{"id": "1", "plugins": {"csrf": {"key": "${{HOME}}"}}}]},
    ),
    "a cipher text in a plugin that is stripped": Case(
        {"routes/1": {"plugins": {"csrf": {"key": encrypted(b"a\0b")}, "cors": {}}}},
        {"routes": [{"id": "1", "plugins": {"cors": {}}}]},
        stripped={"routes/1": ["csrf"]},
        options={"plugins": frozenset({"cors"})},
    ),
    "odd things in a plugin that is stripped": Case(
        {"routes/1": b'{"plugins":{"b":{"a":[null],"<<":"\\u0000","c":[],"d":"\xff"},"a":{}}}'},
        {"routes": [{"id": "1", "plugins": {}}]},
        stripped={"routes/1": ["b", "a"]},
        options={"plugins": frozenset()},
    ),
    "no object in a plugin that would be stripped": Case(
        {
            "routes/1": {"plugins": {"b": None}},
            "routes/2": {"plugins": {"b": 1}},
            "routes/3": {"plugins": {"b": "x"}},
        },
        {},
        {"routes/1": NOT_HELD, "routes/2": NOT_HELD, "routes/3": NOT_HELD},
        options={"plugins": frozenset()},
    ),
    "what is refused is not told as stripped or inexact": Case(
        {"routes/1": {"plugins": {"b": {}}, "vars": [None], "hosts": []}},
        {},
        {"routes/1": HELD},
        options={"plugins": frozenset()},
    ),
    "a null member takes its odd name along": Case(
        {"routes/1": {"plugins": {"a": {"<<": None, "x\0": None, "y": [{"z": None}]}}}},
        {"routes": [{"id": "1", "plugins": {"a": {"y": [{}]}}}]},
        inexact={"routes/1"},
    ),
    "an empty array beside a null": Case(
        {"plugin_metadata/a": {"x": None, "y": []}},
        {"plugin_metadata": [{"id": "a", "y": []}]},
        inexact={"plugin_metadata/a"},
    ),
    "a null in an array that is decrypted": Case(
        {"routes/1": {"plugins": {"dingtalk-auth": {"secret_fallbacks": [encrypted(b"x"), None]}}}},
        {},
        {"routes/1": HELD},
    ),
    "nulls where the schemas decide, and where they don't": Case(
        {
            "routes/1": {"hosts": [None]},
            "routes/2": {"vars": None},
            "routes/3": {"vars": [["a", None]]},
            "upstreams/1": {"nodes": [{"metadata": {"a": None}}]},
            "upstreams/2": {"nodes": [{"metadata": None}]},
            "secrets/vault/1": {"id": "vault/1", "namespace": None},
        },
        {},
        {
            "routes/1": NOT_HELD,
            "routes/2": NOT_HELD,
            "routes/3": HELD,
            "upstreams/1": HELD,
            "upstreams/2": NOT_HELD,
            "secrets/vault/1": NOT_HELD,
        },
    ),
    "secrets are no plugins": Case(
        {"secrets/vault/1": {"id": "vault/1", "plugins": {"b": 1}, "token": encrypted(b"t")}},
        {"secrets": [{"id": "vault/1", "plugins": {"b": 1}, "token": encrypted(b"t")}]},
        options={"plugins": frozenset()},
    ),
    "metadata is decrypted if its id fits and its plugin is loaded": Case(
        {
            "plugin_metadata/azure-functions": {
                "id": "azure-functions",
                "master_apikey": encrypted(b"m"),
                "plugins": {"b": 1},
            },
            "plugin_metadata/error-log-logger": {
                "id": "error-log-logger",
                "clickhouse": {"password": encrypted(b"p")},
            },
        },
        {
            "plugin_metadata": [
                {"id": "azure-functions", "master_apikey": "m", "plugins": {"b": 1}},
                {"id": "error-log-logger", "clickhouse": {"password": encrypted(b"p")}},
            ]
        },
        options={"plugins": frozenset({"azure-functions"})},
    ),
    "metadata as an array is held in a form of its own": Case(
        {"plugin_metadata/a": [1], "plugin_metadata/b": "7", "routes/1": [1]},
        {},
        {"plugin_metadata/a": HELD, "plugin_metadata/b": NOT_HELD, "routes/1": NOT_HELD},
    ),
    "consumers and routes obey other schemas": Case(
        {
            "routes/1": {
                "plugins": {
                    "key-auth": {"key": encrypted(b"k")},
                    "ldap-auth-advanced": {"ldap_password": encrypted(b"l")},
                }
            },
            "consumer_groups/1": {"id": "1", "plugins": {"csrf": {"key": encrypted(b"c")}}},
            "consumers/j": {
                "username": "j",
                "plugins": {
                    "key-auth": {"key": encrypted(b"k")},
                    "csrf": {"key": encrypted(b"c")},
                    "ldap-auth-advanced": {"ldap_password": encrypted(b"l")},
                },
            },
            "stream_routes/1": {"plugins": {"csrf": {"key": encrypted(b"c")}}},
        },
        {
            "routes": [
                {
                    "id": "1",
                    "plugins": {
                        "key-auth": {"key": encrypted(b"k")},
                        "ldap-auth-advanced": {"ldap_password": "l"},
                    },
                }
            ],
            "consumer_groups": [{"id": "1", "plugins": {"csrf": {"key": "c"}}}],
            "consumers": [
                {
                    "username": "j",
                    "plugins": {
                        "key-auth": {"key": "k"},
                        "csrf": {"key": "c"},
                        "ldap-auth-advanced": {"ldap_password": encrypted(b"l")},
                    },
                }
            ],
            "stream_routes": [{"id": "1", "plugins": {"csrf": {"key": encrypted(b"c")}}}],
        },
    ),
    "no keyring": Case(
        {"routes/1": {"plugins": {"csrf": {"key": encrypted(b"c")}}}},
        {"routes": [{"id": "1", "plugins": {"csrf": {"key": encrypted(b"c")}}}]},
        options={"keyring": ()},
    ),
    "the plugin list decides for items that sort before it": Case(
        {
            "consumers/j": {"username": "j", "plugins": {"key-auth": {"key": encrypted(b"k")}, "csrf": {}}},
            "plugin_metadata/azure-functions": {"id": "azure-functions", "master_apikey": encrypted(b"m")},
            "plugins": [{"name": "key-auth", "x": []}, {"name": "mqtt-proxy", "stream": True}],
            "stream_routes/1": {"plugins": {"mqtt-proxy": {}, "key-auth": {}}},
        },
        {
            "plugins": [{"name": "key-auth", "x": []}, {"name": "mqtt-proxy", "stream": True}],
            "consumers": [{"username": "j", "plugins": {"key-auth": {"key": "k"}}}],
            "plugin_metadata": [{"id": "azure-functions", "master_apikey": encrypted(b"m")}],
            "stream_routes": [{"id": "1", "plugins": {"mqtt-proxy": {}}}],
        },
        stripped={"consumers/j": ["csrf"], "stream_routes/1": ["key-auth"]},
        options={"plugins": frozenset({"csrf"})},
    ),
    "a plugin list that a file can't hold changes nothing": Case(
        {"plugins": [{"name": "cors", "x": None}], "routes/1": {"plugins": {"cors": {}, "csrf": {}}}},
        {"routes": [{"id": "1", "plugins": {"csrf": {}}}]},
        {"plugins": HELD},
        stripped={"routes/1": ["cors"]},
        options={"plugins": frozenset({"csrf"})},
    ),
    "no plugin lists": Case(
        {
            "plugins": [{"name": "cors", "stream": None}],
            "plugins/x": {},
            "routes/1": {"plugins": {"csrf": {}}},
        },
        {"routes": [{"id": "1", "plugins": {"csrf": {}}}]},
        {"plugins": NOT_HELD},
        ignored={"plugins/x"},
    ),
    "services of stream routes": Case(
        {
            "services/1": {"plugins": {"cors": {}}},
            "services/2": {"plugins": {"csrf": {}}},
            "services/3": {"plugins": {"cors": {"x": []}}},
            "services/4": {"plugins": {"cors": {}}},
            "services/5": {"plugins": {"cors": {"x": []}}},
            "stream_routes/1": {"service_id": 1},
            "stream_routes/2": {"service_id": "2"},
            "stream_routes/3": {"service_id": 3.0},
            "stream_routes/b d": {"service_id": "4"},
        },
        {
            "services": [
                {"id": "1", "plugins": {"cors": {}}},
                {"id": "2", "plugins": {}},
                {"id": "3", "plugins": {"cors": {"x": []}}},
                {"id": "4", "plugins": {"cors": {}}},
                {"id": "5", "plugins": {"cors": {"x": []}}},
            ],
            "stream_routes": [
                {"id": "1", "service_id": 1},
                {"id": "2", "service_id": "2"},
                {"id": "3", "service_id": 3},
            ],
        },
        {"stream_routes/b d": HELD},
        inexact={"services/1", "services/3", "services/5"},
        stripped={"services/2": ["csrf"]},
        options={"plugins": frozenset({"cors"})},
    ),
    "not a number": Case(
        {"plugin_metadata/a": '{"id":"a","x":NaN,"y":-Infinity}'},
        {"plugin_metadata": [{"id": "a", "x": "<nan>", "y": float("-inf")}]},
    ),
    "values that end at a NUL": Case(
        {"routes/1": b'{"uri":"/"}\0 x', "routes/2": b"\0{}"},
        {"routes": [{"id": "1", "uri": "/"}]},
        {"routes/2": NOT_HELD},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_rules(case: Case, lyaml: Callable[[bytes], Any]) -> None:
    case.check(lyaml)


def test_no_value_is_shown() -> None:
    rendering = render([(b"/apisix/routes/1", b'{"uri":"/treasure"}')], Options())
    assert "treasure" not in repr(rendering)
