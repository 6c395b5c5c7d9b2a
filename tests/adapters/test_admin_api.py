"""A gateway in API-driven standalone mode gets its configuration, and each type only if it has changed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from servers.admin_api import StandaloneGateway, standalone_gateway

from replicator.adapters.admin_api import AdminApi
from replicator.apisix import Options, render
from replicator.errors import GatewayFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTE = (b"/apisix/routes/1", b'{"uri":"/1","plugins":{"cors":{}}}')
SERVICE = (b"/apisix/services/1", b'{"name":"one"}')


@pytest.fixture
def gateway() -> Iterator[StandaloneGateway]:
    """Return a gateway that was just started."""
    with standalone_gateway() as running:
        yield running


@pytest.fixture
def api(gateway: StandaloneGateway) -> AdminApi:
    """Return the target that this gateway is."""
    return AdminApi(gateway.url, "secret")


def body(*items: tuple[bytes, bytes]) -> list[bytes]:
    """Return the body for a state."""
    return list(render(items, Options(), "api").chunks())


def sha256(chunks: list[bytes]) -> str:
    return hashlib.sha256(b"".join(chunks)).hexdigest()


def test_the_gateway_has_what_it_was_given(gateway: StandaloneGateway, api: AdminApi) -> None:
    assert api.digest() == ""
    api.put(body(ROUTE, SERVICE))
    assert api.digest() == sha256(body(ROUTE, SERVICE))
    assert [item["id"] for item in gateway.items("routes") + gateway.items("services")] == ["1", "1"]
    api.put(body())
    assert gateway.items("routes") == gateway.items("services") == []


def test_only_types_that_have_changed_are_built_anew(gateway: StandaloneGateway, api: AdminApi) -> None:
    api.put(body(ROUTE, SERVICE))
    gateway.built.clear()
    api.put(body((ROUTE[0], b'{"uri":"/2"}'), SERVICE))
    assert gateway.built == {"routes": 1}
    assert gateway.items("services")
    gateway.built.clear()
    api.put(body(SERVICE))
    assert gateway.built == {"routes": 1}


def test_a_second_write_of_the_same_is_noticed(gateway: StandaloneGateway, api: AdminApi) -> None:
    for _ in range(3):
        gateway.built.clear()
        api.put(body(ROUTE))
        assert gateway.built["routes"] == 1
        assert api.digest() == sha256(body(ROUTE))


@pytest.mark.parametrize("tells_digest", [True, False])
def test_a_gateway_that_was_restarted_gets_all(
    gateway: StandaloneGateway, api: AdminApi, *, tells_digest: bool
) -> None:
    gateway.tells_digest = tells_digest
    api.put(body(ROUTE, SERVICE))
    api.put(body(ROUTE))
    assert api.digest() == sha256(body(ROUTE))
    gateway.restart()
    assert api.digest() == ""
    api.put(body(ROUTE))
    assert gateway.items("routes")
    assert api.digest() == sha256(body(ROUTE))


def test_another_process_goes_on_from_the_versions_of_the_last(
    gateway: StandaloneGateway, api: AdminApi
) -> None:
    for number in range(5):
        api.put(body((ROUTE[0], b'{"uri":"/%d"}' % number)))
    before = gateway.held["routes_conf_version"]
    again = AdminApi(gateway.url, "secret")
    again.put(body((ROUTE[0], b'{"uri":"/new"}')))
    assert gateway.held["routes_conf_version"] == before + 1
    assert gateway.items("routes")[0]["uri"] == "/new"
    third, asked = AdminApi(gateway.url, "secret"), len(gateway.asked)
    third.put(body((ROUTE[0], b'{"uri":"/new"}')))
    assert "PUT" not in gateway.asked[asked:]


def test_one_that_somebody_else_pushed_to_is_overtaken(gateway: StandaloneGateway, api: AdminApi) -> None:
    api.put(body(ROUTE))
    gateway.update(json.dumps({"routes": [], "routes_conf_version": 1000}).encode(), "another's")
    api.put(body(SERVICE, ROUTE))
    assert gateway.held["routes_conf_version"] == 1001
    assert gateway.items("routes")


def test_a_lost_answer_is_no_second_put(gateway: StandaloneGateway, api: AdminApi) -> None:
    gateway.loses = 1
    with pytest.raises(GatewayFailed, match="doesn't answer"):
        api.put(body(ROUTE))
    api.put(body(ROUTE))
    assert gateway.asked.count("PUT") == 1
    api.put(body(ROUTE, SERVICE))
    assert gateway.items("services")
    assert gateway.built["routes"] == 1


def test_an_item_that_it_refuses_is_named(gateway: StandaloneGateway, api: AdminApi) -> None:
    api.put(body(SERVICE))
    gateway.plugins = {"key-auth"}
    with pytest.raises(GatewayFailed, match=r"routes/1: unknown plugin \[cors\]") as caught:
        api.put(body(ROUTE, SERVICE))
    assert caught.value.hint
    assert gateway.items("services")


def test_a_wrong_key_is_told_and_never_shown(gateway: StandaloneGateway) -> None:
    api = AdminApi(gateway.url, "another-key")
    for verb in (api.digest, lambda: api.put(body(ROUTE))):
        with pytest.raises(GatewayFailed, match="401") as caught:
            verb()
        assert "push_key" in caught.value.hint
        assert "another-key" not in str(caught.value) + repr(api)


def test_a_gateway_in_another_mode_and_none_at_all_are_told(gateway: StandaloneGateway) -> None:
    with pytest.raises(GatewayFailed, match="404") as caught:
        AdminApi(gateway.url + "/elsewhere", "secret").digest()
    assert "config_provider: yaml" in caught.value.hint
    with pytest.raises(GatewayFailed, match="doesn't answer"):
        AdminApi("http://127.0.0.1:1", "secret").digest()


@pytest.mark.parametrize(
    "said",
    [
        'failed to match pattern "^x$" with "the secret"',
        'got: "the secret"',
        'value "a \\" the secret" is bad',
    ],
)
def test_what_a_validator_quotes_is_not_told(gateway: StandaloneGateway, api: AdminApi, said: str) -> None:
    refused: Any = {"resource_type": "routes", "resource_id": "1", "index": 0, "error": said}
    gateway.refusals = lambda _: iter([refused])  # type: ignore[method-assign]
    with pytest.raises(GatewayFailed) as caught:
        api.put(body(ROUTE))
    assert "routes/1" in str(caught.value)
    assert "secret" not in str(caught.value)
