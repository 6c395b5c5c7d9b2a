"""What refers to what, and that an order of writing leaves nothing dangling on the way."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.apisix.references import rank, references, referrers, resource_of
from replicator.apisix.resource import TYPES, Resource, parse_resource
from replicator.core.records import Record
from replicator.core.rewriting import TXN_OPERATIONS, plan, transactions
from replicator.core.state import State

PREFIX = b"/apisix"


@pytest.mark.parametrize(
    ("resource", "document", "told"),
    [
        (
            "routes/1",
            {"service_id": "1", "upstream_id": 2, "plugin_config_id": "p"},
            "services/1 upstreams/2 plugin_configs/p",
        ),
        ("routes/1", {"upstream": {"tls": {"client_cert_id": "c"}}}, "ssls/c"),
        ("routes/1", {"plugins": {"grpc-transcode": {"proto_id": "g"}}}, "protos/g"),
        (
            "routes/1",
            {"plugins": {"traffic-split": {"rules": [{"weighted_upstreams": [{"upstream_id": 3}]}]}}},
            "upstreams/3",
        ),
        ("consumers/jack", {"group_id": "g"}, "consumer_groups/g"),
        ("consumers/jack/credentials/one", {"plugins": {}}, "consumers/jack"),
        ("stream_routes/1", {"service_id": "s"}, "services/s"),
        ("upstreams/1", {"nodes": {}}, ""),
    ],
)
def test_references_are_found(resource: str, document: object, told: str) -> None:
    one = parse_resource(resource)
    value = json.dumps(document).encode()
    found = references(one, value)
    assert found == set(map(parse_resource, told.split()))
    for other in found:
        assert list(referrers(other, [(one.key(PREFIX), value), (b"/apisix/routes/x", b"{}")], PREFIX)) == [
            one
        ]


def test_what_is_no_json_refers_to_nothing() -> None:
    assert references(Resource("routes", "1"), b"\xff") == set()
    assert resource_of(b"/apisix/routes/\xff", PREFIX) is None
    assert resource_of(b"/apisix/plugins", PREFIX) == Resource("plugins")
    assert resource_of(b"/other", PREFIX) is None


LINKS = {"services": "upstream_id", "routes": "service_id", "stream_routes": "service_id"}
TARGETS = {"upstream_id": "upstreams", "service_id": "services"}


def gateway(numbers: set[int]) -> dict[bytes, bytes]:
    """Return routes, services and upstreams of these numbers, each route with its service and so on."""
    return {
        b"/apisix/%b/%d" % (type_.encode(), number): json.dumps(
            {LINKS[type_]: str(number)} if type_ in LINKS else {}
        ).encode()
        for type_ in ("upstreams", "services", "routes")
        for number in numbers
    }


@given(st.sets(st.integers(1, 9)), st.sets(st.integers(1, 9)), st.integers(1, 4))
def test_nothing_dangles_on_the_way(before: set[int], after: set[int], operations: int) -> None:
    live = State(1)
    for key, value in gateway(before).items():
        live.add(key, Record(value, 1, 1, 1, 0))
    wanted = gateway(after)
    rewriting = plan(
        live, wanted, {*wanted, *(key for key, _ in live.items())}, lambda key: rank(key, PREFIX)
    )
    held = {key: record.value for key, record in live.items()}
    assert sum(map(rewriting.count, ("create", "update", "delete"))) == len(rewriting.steps)
    assert rewriting.unchanged + len(rewriting.steps) == len({*wanted, *held})
    for steps in transactions(rewriting.steps, operations):
        assert len(steps) <= operations
        for step in steps:
            if step.value is None:
                del held[step.key]
            else:
                held[step.key] = step.value
        for key, value in held.items():
            one = resource_of(key, PREFIX)
            assert one is not None
            assert all(other.key(PREFIX) in held for other in references(one, value))
    assert held == wanted


def test_every_type_has_its_place() -> None:
    ranks = {
        rank(Resource(type_, "1" if type_ != "plugins" else None).key(PREFIX), PREFIX) for type_ in TYPES
    }
    assert len(ranks) == len(TYPES)
    assert rank(b"/apisix/consumers/a/credentials/b", PREFIX) > rank(b"/apisix/consumers/a", PREFIX)
    assert rank(b"/apisix/routes/", PREFIX) == 0
    assert TXN_OPERATIONS == 128
