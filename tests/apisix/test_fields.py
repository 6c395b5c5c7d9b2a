"""Field by field: patches by a library's judgement, words, secrets, blame."""

from __future__ import annotations

import json
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.apisix.blame import Blame
from replicator.apisix.fields import Opaque, changed, document_of, dotted, is_same, patch, words
from replicator.apisix.resource import (
    TYPES,
    Resource,
    is_heartbeat,
    name_of,
    parse_one,
    parse_resource,
    type_of,
)
from replicator.apisix.secrecy import HIDDEN, hides, masked
from replicator.errors import UsageError

names = st.sampled_from(["a", "b", "uri", "nodes", "a/b", "~", "", "é"])
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.just(1.0), st.sampled_from(["", "x", "1"])
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(names, documents, max_size=5)


@given(documents, documents)
def test_a_patch_makes_the_one_into_the_other(before: Any, after: Any) -> None:
    steps = patch(None, before, after, reveal=True)
    made = jsonpatch.JsonPatch(steps).apply(before)
    assert is_same(made, after)
    assert bool(steps) != is_same(before, after)


@given(documents)
def test_what_is_the_same_has_no_changes(document: Any) -> None:
    assert list(changed(document, json.loads(json.dumps(document)))) == []
    assert words(None, document, document) == []


@given(objects, objects)
def test_words_are_there_if_anything_differs(before: Any, after: Any) -> None:
    assert bool(words(None, before, after, reveal=True)) == (not is_same(before, after))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            {"upstream": {"nodes": {"10.0.0.1:80": 1}}},
            {"upstream": {"nodes": {"10.0.0.1:80": 0}}},
            ["upstream.nodes: 10.0.0.1:80 weight 1 -> 0"],
        ),
        (
            {"upstream": {"nodes": [{"host": "10.0.0.1", "port": 80, "weight": 1}]}},
            {"upstream": {"nodes": [{"host": "10.0.0.1", "port": 80, "weight": 0}]}},
            ["upstream.nodes: 10.0.0.1:80 weight 1 -> 0"],
        ),
        (
            {"nodes": [{"host": "a", "port": 1, "weight": 1}, {"host": "b", "port": 1, "weight": 1}]},
            {"nodes": [{"host": "b", "port": 1, "weight": 1}, {"host": "c", "port": 1, "weight": 5}]},
            ["nodes: -a:1 weight 1", "nodes: +c:1 weight 5"],
        ),
        (
            {"nodes": [{"host": "a", "port": 1, "weight": 1, "priority": 0}]},
            {"nodes": [{"host": "a", "port": 1, "weight": 1, "priority": 9}]},
            ["nodes: a:1 priority: 0 -> 9"],
        ),
        ({"uris": ["/a", "/b"]}, {"uris": ["/b", "/c"]}, ['uris: -"/a" +"/c"']),
        ({"uris": ["/a", "/b"]}, {"uris": ["/b", "/a"]}, ["uris: in another order"]),
        ({"uri": "/a"}, {"uri": "/b", "desc": "x"}, ['uri: "/a" -> "/b"', 'desc: added "x"']),
        ({"status": 1}, {"status": True}, ["status: 1 -> true"]),
        ({"labels": {"a": "b"}}, {}, ['labels: removed {"a":"b"}']),
        ({"plugins": {"x": {"count": 1}}}, {"plugins": {"x": {"count": 2}}}, ["plugins.x.count: 1 -> 2"]),
        ({"password": "a"}, {"password": "b"}, ["password: *** changed"]),
        ({}, {"plugins": {"p": {"secret": "b", "n": 1}}}, ['plugins: added {"p":{"secret":"***","n":1}}']),
        (Opaque(3), Opaque(4), ["the value: <3 bytes, no JSON> -> <4 bytes, no JSON>"]),
    ],
)
def test_words_are_those_of_the_people_who_run_it(before: Any, after: Any, told: list[str]) -> None:
    assert words("routes", before, after) == told


def test_what_is_no_json_is_told_by_its_size() -> None:
    assert document_of(b"init_dir") == Opaque(8)
    assert document_of(b'{"a":"\xff"}') == Opaque(9)
    assert document_of(b"[" * 100_000) == Opaque(100_000)
    assert document_of(b'{"a":1}') == {"a": 1}


@pytest.mark.parametrize(
    ("type_", "path", "is_hidden"),
    [
        ("ssls", ("key",), True),
        ("ssls", ("keys", 0), True),
        ("ssls", ("cert",), False),
        ("consumers", ("plugins", "key-auth", "key"), True),
        ("consumers", ("plugins", "jwt-auth", "secret"), True),
        ("consumers", ("plugins", "basic-auth", "password"), True),
        ("consumers", ("plugins", "hmac-auth", "secret_key"), True),
        ("routes", ("plugins", "limit-count", "key"), False),
        ("routes", ("plugins", "openid-connect", "client_secret"), True),
        ("routes", ("plugins", "my-plugin", "db", "password"), True),
        ("upstreams", ("tls", "client_key"), True),
        ("secrets", ("token",), True),
        ("secrets", ("secret_access_key",), True),
        ("routes", ("uri",), False),
    ],
)
def test_secrets_are_hidden(type_: str, path: tuple[str | int, ...], *, is_hidden: bool) -> None:
    assert hides(type_, path) == is_hidden
    document: Any = "the secret"
    for name in reversed(path):
        document = [document] if isinstance(name, int) else {name: document}
    assert ("the secret" in json.dumps(masked(type_, document))) != is_hidden
    assert (HIDDEN in json.dumps(masked(type_, document))) == is_hidden
    assert ("the secret" in json.dumps(patch(type_, {}, document, reveal=False))) != is_hidden
    assert ("the secret" in " ".join(words(type_, {}, document))) != is_hidden


@given(st.lists(objects, min_size=1, max_size=6))
def test_a_field_is_blamed_on_the_last_that_changed_it(history: list[Any]) -> None:
    blame: Blame[int] = Blame()
    for number, document in enumerate(history):
        blame.take(document, number)
    for path, value, origin in blame.fields():
        held = [_at(document, path) for document in history]
        assert all(one is not None and is_same(one, [value]) for one in held[origin:])
        assert origin == 0 or held[origin - 1] is None or not is_same(held[origin - 1], [value])


def _at(document: Any, path: tuple[str | int, ...]) -> Any:
    """Return the leaf of *document* at *path*, in a list; None if there is none."""
    for name in path:
        if isinstance(document, dict) and isinstance(name, str):
            document = document.get(name, _Nothing)
        elif isinstance(document, list) and isinstance(name, int) and name < len(document):
            document = document[name]
        else:
            return None
        if document is _Nothing:
            return None
    return [document] if not isinstance(document, dict | list) or not document else None


class _Nothing:
    """No value."""


@pytest.mark.parametrize(
    ("text", "resource"),
    [
        ("routes", Resource("routes")),
        ("route/1", Resource("routes", "1")),
        ("consumers/jack/credentials/one", Resource("consumers", "jack/credentials/one")),
        ("secrets/vault/1", Resource("secrets", "vault/1")),
        ("plugins", Resource("plugins")),
        ("plugin_metadata/syslog", Resource("plugin_metadata", "syslog")),
    ],
)
def test_a_resource_is_what_its_key_says(text: str, resource: Resource) -> None:
    assert parse_resource(text) == resource
    key = resource.key(b"/apisix")
    assert key.startswith(b"/apisix/" + resource.type.encode())
    if resource.is_one:
        assert parse_one(text) == resource
        assert name_of(key, b"/apisix") == str(resource)
        assert type_of(key, b"/apisix") == resource.type


@pytest.mark.parametrize(
    "text", ["", "/", "rout", "routes/", "plugins/x", "data_plane/1", "/apisix/routes/1"]
)
def test_what_is_no_resource_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="no resource"):
        parse_resource(text)


def test_a_type_is_not_one_resource() -> None:
    with pytest.raises(UsageError, match="which of them"):
        parse_one("routes")
    assert "routes" in TYPES


def test_other_keys_go_by_their_whole_name() -> None:
    assert name_of(b"/other/x", b"/apisix") == "/other/x"
    assert name_of(b"/apisix/routes/", b"/apisix") == "/apisix/routes/"
    assert name_of(b"/apisix/routes/\xff", b"/apisix").startswith("base64:")
    assert type_of(b"/apisix/strange/1", b"/apisix") is None
    assert is_heartbeat(b"/apisix/data_plane/server_info/x", b"/apisix")
    assert not is_heartbeat(b"/apisix/routes/1", b"/apisix")


def test_a_path_is_printable() -> None:
    assert dotted(("a", 0, "b\x1b[2J")) == "a[0].b\\x1b[2J"
    assert dotted(()) == "the value"


def test_nodes_that_have_no_address_of_their_own_go_by_place() -> None:
    twice = {"nodes": [{"host": "a", "port": 1, "weight": 1}, {"host": "a", "port": 1, "weight": 2}]}
    other = {"nodes": [{"host": "a", "port": 1, "weight": 1}, {"host": "a", "port": 1, "weight": 3}]}
    assert words("upstreams", twice, other) == ["nodes[1].weight: 2 -> 3"]
    assert words("upstreams", {"nodes": [1]}, {"nodes": [{"host": 2}]}) == ['nodes[0]: 1 -> {"host":2}']


def test_what_was_deleted_and_made_anew_is_new() -> None:
    blame: Blame[int] = Blame()
    blame.take({"a": 1}, 1)
    blame.clear()
    assert blame.fields() == []
    blame.take({"a": 1}, 2)
    assert [field.origin for field in blame.fields()] == [2]


def test_secrets_in_lists_are_hidden() -> None:
    document = {"instances": [{"auth": {"token": "x"}, "name": "y"}]}
    assert masked("routes", document) == {"instances": [{"auth": {"token": HIDDEN}, "name": "y"}]}
