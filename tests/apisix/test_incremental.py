"""A renderer that follows a state writes what one that sees it for the first time does."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from gateway_values import dumped, gateways, odd_values, routes
from golden import Vector, vectors
from hypothesis import given
from hypothesis import strategies as st

from replicator.apisix import Options, Renderer, render
from replicator.apisix.judgement import judge

if TYPE_CHECKING:
    from replicator.apisix import Rendering

FORMS: list[dict[str, Any]] = [
    {"style": "flow"},
    {"style": "block"},
    {"format_": "json"},
    {"format_": "api"},
]
PLUGIN_LISTS = [
    b'[{"name":"key-auth"},{"name":"mqtt-proxy","stream":true}]',
    b"[]",
    b"no list",
    b'[{"name":"x"}]',
]

# Few keys, so that they change, go and come back; a service with plugins that a stream route uses is told
# with the service, whichever of the two changes.
_values = odd_values.map(dumped) | routes.map(dumped) | st.binary(max_size=9)
_changes = st.one_of(
    st.tuples(st.just(b"/apisix/plugins"), st.none() | st.sampled_from(PLUGIN_LISTS)),
    st.tuples(
        st.sampled_from([b"/apisix/services/1", b"/apisix/services/2"]),
        st.none() | st.sampled_from([b'{"plugins":{"key-auth":{}}}', b'{"plugins":{}}', b"{}"]),
    ),
    st.tuples(
        st.sampled_from([b"/apisix/stream_routes/1", b"/apisix/stream_routes/2"]),
        st.none() | st.sampled_from([b'{"service_id":1}', b'{"service_id":"2"}', b"{}"]),
    ),
    st.tuples(
        st.sampled_from(
            [
                b"/apisix/" + name
                for name in (b"routes/1", b"routes/2", b"routes/", b"consumers/jack", b"\xff/1")
            ]
            + [b"/apisix/consumers/jack/credentials/c", b"/apisix/secrets/vault/1", b"/other"]
        ),
        st.none() | _values,
    ),
)
histories = st.lists(st.lists(_changes, max_size=4), max_size=8)


def text(rendering: Rendering) -> bytes:
    return b"".join(rendering.chunks(["a comment"]))


def agree(renderer: Renderer, state: dict[bytes, bytes], options: Options, form: dict[str, Any]) -> None:
    """Check that *renderer* is where a fresh one would be."""
    followed, fresh = renderer.rendering(), render(state.items(), options, **form)
    assert text(fresh) == text(followed)
    assert fresh.report == followed.report
    assert fresh.counts == followed.counts


@pytest.mark.parametrize("form", FORMS, ids=str)
@given(histories, gateways, st.sets(st.integers(0, 7)))
def test_whatever_changes_the_file_is_that_of_the_whole_state(form, history, options, resets) -> None:
    renderer, state = Renderer(options, **form), {}
    for number, changes in enumerate(history):
        for key, value in changes:
            state.pop(key, None)
            if value is not None:
                state[key] = value
        if number in resets:
            renderer.reset(state.items())
        else:
            renderer.update(changes)
        agree(renderer, state, options, form)


@pytest.mark.parametrize("vector", vectors(), ids=str)
def test_a_vector_that_comes_and_goes_key_by_key(vector: Vector) -> None:
    given = vector.options
    plugins, stream_plugins = (
        None if given[name] is None else frozenset(given[name]) for name in ("plugins", "stream_plugins")
    )
    keyring = tuple(key.encode() for key in given["keyring"] or ())
    options = Options(vector.prefix.encode(), keyring, plugins, stream_plugins)
    whole = {key.encode(): value for key, value, _ in vector.pairs()}
    renderer, state = Renderer(options), {}
    shuffled = sorted(whole.items())
    random.Random(vector.name).shuffle(shuffled)
    for key, value in shuffled[:40]:
        state[key] = value
        renderer.update([(key, value)])
    agree(renderer, state, options, {})
    renderer.reset(whole.items())
    agree(renderer, whole, options, {})
    for key, _ in shuffled[: len(shuffled) // 2]:
        del whole[key]
        renderer.update([(key, None)])
    agree(renderer, whole, options, {})


def test_a_rendering_stays_as_it_was_while_the_state_goes_on() -> None:
    renderer = Renderer(Options())
    renderer.update([(b"/apisix/routes/1", b'{"uri":"/1"}')])
    before = renderer.rendering()
    kept = text(before)
    renderer.update([(b"/apisix/routes/1", b'{"uri":"/2"}'), (b"/apisix/routes/2", b'{"uri":"/3"}')])
    assert kept == text(before) != text(renderer.rendering())


def test_only_what_has_changed_is_judged_until_the_plugin_list_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged: list[str] = []

    def spy(section: str, suffix: str, *rest: Any) -> Any:
        judged.append(suffix)
        return judge(section, suffix, *rest)

    monkeypatch.setattr("replicator.apisix.rendering.judge", spy)
    renderer = Renderer(Options())
    state = {b"/apisix/services/%d" % number: b"{}" for number in range(9)}
    renderer.update(state.items())
    judged.clear()
    renderer.reset((state | {b"/apisix/services/7": b'{"name":"seven"}'}).items())
    assert judged == ["7"]
    renderer.update([(b"/apisix/plugins", b"[]")])
    assert sorted(judged) == ["0", "1", "2", "3", "4", "5", "6", "7", "7", "8"]
