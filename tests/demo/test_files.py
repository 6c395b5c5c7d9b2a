"""What the demo reads out of two files: the lines of a part, and what differs."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from replicator.apisix import Options, render
from replicator.demo.files import Change, FieldChange, changes, excerpt, items_of, shortened
from replicator.demo.story import Part

ROUTES = {
    "b": {
        "id": "b",
        "uri": "/b",
        "plugins": {"cors": {}, "limit-count": {"count": 2}},
        "desc": "two\nlines\n",
    },
    "bb": {"id": "bb", "uris": ["/x", "/y"], "uri": "/bb"},
}
VALUES = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: (
        st.dictionaries(st.text(max_size=2), inner, min_size=1, max_size=3) | st.lists(inner, max_size=2)
    ),
    max_leaves=8,
)
ITEMS = st.dictionaries(
    st.sampled_from(["routes/a", "routes/b", "ssls/a"]),
    st.dictionaries(st.text(max_size=2), VALUES, min_size=1),
)


def rendered(routes: dict[str, dict[str, object]]) -> str:
    """Return the real file of *routes*."""
    kvs = (
        (f"/apisix/routes/{name}".encode(), json.dumps(route).encode())
        for name, route in sorted(routes.items())
    )
    return b"".join(render(kvs, Options(), "yaml", "block").chunks(["routes:", "  - id: "])).decode()


@given(ITEMS, ITEMS)
def test_nothing_differs_exactly_if_all_is_the_same(before, after) -> None:
    assert (changes(before, after) == ()) == (before == after)


@given(ITEMS, ITEMS)
def test_what_differs_undoes_itself(before, after) -> None:
    undone = [
        (change.item, {field.path: (field.new, field.old) for field in change.fields})
        for change in changes(after, before)
    ]
    done = [
        (change.item, {field.path: (field.old, field.new) for field in change.fields})
        for change in changes(before, after)
    ]
    assert done == undone


def test_a_difference_is_told_by_field_as_deep_as_both_have_it() -> None:
    after = json.loads(json.dumps(ROUTES))
    after["b"]["plugins"]["limit-count"] = {"count": 3}
    after["b"]["plugins"]["csrf"] = {"key": "k"}
    after["b"]["update_time"] = 7
    del after["bb"]
    assert changes(items_of(rendered(ROUTES)), items_of(rendered(after))) == (
        Change(
            "routes/b",
            "changed",
            (
                FieldChange("plugins.limit-count.count", 2, 3),
                FieldChange("plugins.csrf", None, {"key": "k"}),
            ),
        ),
        Change(
            "routes/bb",
            "gone",
            (
                FieldChange("id", "bb", None),
                FieldChange("uris", ["/x", "/y"], None),
                FieldChange("uri", "/bb", None),
            ),
        ),
    )


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("field", ["uri", "uris", "plugins", "desc"])
def test_an_excerpt_is_those_lines_of_the_file(name, field) -> None:
    """Read as YAML, it is the item with no more than the fields that were asked for."""
    text = rendered(ROUTES)
    lines = excerpt(text, Part("routes", name, (field,)))
    assert set(lines) <= set(text.splitlines())
    wanted = {key: value for key, value in ROUTES[name].items() if key in ("id", field)}
    assert yaml.safe_load("\n".join(lines) + "\n") == {"routes": [wanted]}


@pytest.mark.parametrize("part", [Part("routes", "c", ("uri",)), Part("ssls", "b", ("uri",))])
def test_there_is_no_excerpt_of_what_is_not_there(part) -> None:
    assert excerpt(rendered(ROUTES), part) == []


@pytest.mark.parametrize(
    ("line", "short"),
    [
        ('    key: "abcdefghij"', '    key: "abcdef..."'),
        ('{"key": "abcdefghij", "a": "key: b"}', '{"key": "abcdef...", "a": "key: b"}'),
        ('  monkey: "abcdefghij"', '  monkey: "abcdefghij"'),
    ],
)
def test_a_key_is_cut_short(line, short) -> None:
    assert shortened(line) == short
