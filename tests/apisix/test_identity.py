"""Which ids, stored or in a key, an item may have: where rules meet, their order decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from gateway_cases import HELD, NOT_HELD, Case, encrypted

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = {
    "a stored id of null": Case(
        {"routes/1": {"id": None}, "plugin_metadata/a": {"id": None, "x": 1}, "secrets/a/b": {"id": None}},
        {"plugin_metadata": [{"id": "a", "x": 1}]},
        {"routes/1": NOT_HELD, "secrets/a/b": NOT_HELD},
        inexact={"plugin_metadata/a"},
    ),
    "repeated ids": Case(
        {
            "routes/1": '{"id":"bad id","id":"ok"}',
            "routes/2": '{"id":"2","id":"bad id"}',
            "routes/3": '{"id":"3","id":"x"}',
        },
        {"routes": [{"id": "1"}, {"id": "3"}]},
        {"routes/2": NOT_HELD},
    ),
    "numbers as stored ids": Case(
        {
            f"routes/{number}": f'{{"id":{number}}}'
            for number in (
                "1",
                "1.0",
                "1e3",
                "0x10",
                "-1",
                "0",
                "0.5",
                "1e400",
                "nan",
                "12345678901234567890",
            )
        },
        {"routes": [{"id": name} for name in ("0x10", "1", "1.0", "12345678901234567890", "1e3")]},
        {f"routes/{number}": NOT_HELD for number in ("-1", "0", "0.5", "1e400", "nan")},
    ),
    "a line end is no part of an id": Case(
        {"routes/1": {"id": "a\n"}, "routes/a\n": {"id": "a"}},
        {},
        {"routes/1": NOT_HELD, "routes/a\n": HELD},
    ),
    "a bad stored id comes before a bad key": Case(
        {"routes/a b": {"id": "c d"}, "consumers/a b": {"id": "c d"}, "global_rules/a b": {}},
        {},
        {"routes/a b": NOT_HELD, "consumers/a b": NOT_HELD, "global_rules/a b": NOT_HELD},
    ),
    "credentials": Case(
        {
            "consumers/j/credentials/1": {"id": "b d"},
            "consumers/j/credentials/2": {
                "id": "x/credentials/y",
                "plugins": {"key-auth": {"key": encrypted(b"k")}},
            },
            "consumers/j/credentials/3": {"id": "x/credentials/" + "y" * 115},
            "consumers/j/credentials/4": {"id": "x.z/credentials/y"},
            "consumers/j/credentials/5": {"id": 0},
            "consumers/j/credentials/": {},
            "consumers/j.k/credentials/1": {},
            "consumers/j/credentials": {"username": "j/credentials"},
        },
        {"consumers": [{"id": "j/credentials/2", "plugins": {"key-auth": {"key": "k"}}}]},
        {
            "consumers/j/credentials/1": NOT_HELD,
            "consumers/j/credentials/3": NOT_HELD,
            "consumers/j/credentials/4": NOT_HELD,
            "consumers/j/credentials/5": NOT_HELD,
            "consumers/j/credentials/": HELD,
            "consumers/j.k/credentials/1": HELD,
            "consumers/j/credentials": HELD,
        },
    ),
    "credentials before 3.17": Case(
        {
            "consumers/j/credentials/1": {"id": "b d"},
            "consumers/j/credentials/2": {},
            "consumers/j": {"username": "j"},
        },
        {"consumers": [{"username": "j"}]},
        {"consumers/j/credentials/1": NOT_HELD, "consumers/j/credentials/2": HELD},
        options={"version": "3.16"},
    ),
    "a credential's id in a consumer": Case(
        {"consumers/j": {"username": "j", "id": "j/credentials/1"}}, {}, {"consumers/j": NOT_HELD}
    ),
    "consumers by name": Case(
        {
            "consumers/a b": {"username": "a b", "id": "x"},
            "consumers/1": {"username": 1},
            "consumers/2": {},
            "consumers/" + "n" * 300: {"username": "n" * 300, "id": 7},
        },
        {
            "consumers": [
                {"id": "1", "username": 1},
                {"id": "2"},
                {"username": "a b"},
                {"username": "n" * 300},
            ]
        },
    ),
    "secrets by manager": Case(
        {
            "secrets/a": {"id": "short"},
            "secrets/b": {"id": "b/c"},
            "secrets/vault/": {"id": "vault/x"},
            "secrets/vault/x y/z": {"id": "vault/"},
            "secrets/vault/n": {"id": 7},
        },
        {"secrets": [{"id": "vault/"}, {"id": "vault/x y/z"}]},
        {"secrets/a": NOT_HELD, "secrets/b": HELD, "secrets/vault/n": NOT_HELD},
    ),
    "ids of any text": Case(
        {
            "secrets/vault/\0": {"id": "vault/x"},
            "plugin_metadata/<<": {"id": "<<"},
            "plugin_metadata/${{X}}": {"id": "${{X}}"},
        },
        {"plugin_metadata": [{"id": "${{X}}"}, {"id": "<<"}]},
        {"secrets/vault/\0": HELD},
    ),
    "keys that name no item": Case(
        {"routes/": {}, "routes": {}, "Routes/1": {}, "proto/1": {}, "plugins/": "init_dir", "": "x"},
        {},
        ignored={"routes/", "routes", "Routes/1", "proto/1", "plugins/", ""},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_rules(case: Case, lyaml: Callable[[bytes], Any]) -> None:
    case.check(lyaml)
