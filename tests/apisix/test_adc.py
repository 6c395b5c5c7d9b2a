"""ADC's file, read back the way ADC's sync writes it into a gateway: the same configuration, or told."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from replicator.apisix.adc import AdcConfiguration, to_adc
from replicator.apisix.formats import adc_chunks

TOP = {"services", "ssls", "consumers", "consumer_groups", "global_rules", "plugin_metadata"}
# What ADC's linter takes: other members make it refuse the file.
MEMBERS = {
    "services": "id name description labels upstream plugins hosts routes stream_routes",
    "routes": "id name description labels hosts uris priority timeout vars methods enable_websocket "
    "remote_addrs plugins filter_func",
    "stream_routes": "id name description labels plugins remote_addr server_addr server_port sni",
    "upstream": "name description labels type hash_on key checks nodes scheme retries retry_timeout timeout "
    "tls keepalive_pool pass_host upstream_host service_name discovery_type discovery_args",
    "nodes": "host port weight priority metadata",
    "consumers": "username description labels plugins credentials",
    "credentials": "id name description labels type config",
    "consumer_groups": "id name description labels plugins consumers",
    "ssls": "id labels type snis certificates client ssl_protocols",
    "certificates": "certificate key",
}


def file_of(made: AdcConfiguration, style: str = "flow") -> dict[str, Any]:
    """Return what a YAML parser finds in the file."""
    text = b"".join(adc_chunks(made, style, ["about it"]))  # type: ignore[arg-type]
    assert text.startswith(b"# about it\n")
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def lint(document: dict[str, Any]) -> None:
    """Look for members that ADC's schema doesn't have."""
    assert document.keys() <= TOP
    for section in ("services", "ssls", "consumers", "consumer_groups"):
        for item in document.get(section, []):
            _lint(section, item)


def _lint(kind: str, item: dict[str, Any]) -> None:
    assert item.keys() <= set(MEMBERS[kind].split()), (kind, item)
    for name, value in item.items():
        if name in MEMBERS and name != "consumers" and isinstance(value, list):
            for one in value:
                _lint(name, one)
        elif name == "upstream":
            _lint(name, value)


def synced(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the resources that ADC's sync makes of the file, by type and id."""
    made: dict[str, dict[str, Any]] = {}
    for service in document.get("services", []):
        own = {name: value for name, value in service.items() if name not in ("routes", "stream_routes")}
        made[f"services/{service['id']}"] = _stored(own)
        for kind in ("routes", "stream_routes"):
            for route in service.get(kind, []):
                made[f"{kind}/{route['id']}"] = _stored(route) | {"service_id": service["id"]}
    made |= {f"ssls/{ssl['id']}": _ssl(ssl) for ssl in document.get("ssls", [])}
    for group in document.get("consumer_groups", []):
        made[f"consumer_groups/{group['id']}"] = _stored({n: v for n, v in group.items() if n != "consumers"})
        for consumer in group.get("consumers", []):
            _sync_consumer(made, consumer, {"group_id": group["id"]})
    for consumer in document.get("consumers", []):
        _sync_consumer(made, consumer, {})
    for plugin, config in document.get("global_rules", {}).items():
        made[f"global_rules/{plugin}"] = {"id": plugin, "plugins": {plugin: config}}
    for plugin, config in document.get("plugin_metadata", {}).items():
        made[f"plugin_metadata/{plugin}"] = {"id": plugin, **config}
    return made


def _ssl(ssl: dict[str, Any]) -> dict[str, Any]:
    first, *others = ssl["certificates"]
    stored = {name: value for name, value in ssl.items() if name != "certificates"}
    stored |= {"cert": first["certificate"], "key": first["key"]}
    if others:
        stored |= {
            "certs": [one["certificate"] for one in others],
            "keys": [one["key"] for one in others],
        }
    return stored


def _sync_consumer(made: dict[str, dict[str, Any]], consumer: dict[str, Any], more: dict[str, Any]) -> None:
    name = consumer["username"]
    made[f"consumers/{name}"] = _stored({n: v for n, v in consumer.items() if n != "credentials"}) | more
    for one in consumer.get("credentials", []):
        stored = {"plugins": {one["type"]: one["config"]}, "name": one["name"]}
        made[f"consumers/{name}/credentials/{one['id']}"] = stored


def _stored(item: dict[str, Any]) -> dict[str, Any]:
    return {"desc" if name == "description" else name: value for name, value in item.items()}


ids = st.sampled_from(["1", "a", "b-2", "c.d"])
texts = st.sampled_from(["x", "no", "1e3", "a: b", "#", "é\U0001f600", "line\nline", "0x10", "~", "$x"])
plugins = st.dictionaries(
    st.sampled_from(["limit-count", "key-auth", "cors"]),
    st.dictionaries(st.sampled_from(["a", "b"]), texts, max_size=2),
    max_size=2,
)
nodes = st.one_of(
    st.dictionaries(
        st.sampled_from(["10.0.0.1:80", "[::1]:8080", "host:1"]), st.integers(0, 9), min_size=1, max_size=2
    ),
    st.lists(
        st.fixed_dictionaries({"host": st.just("h"), "port": st.integers(1, 9), "weight": st.integers(0, 9)}),
        min_size=1,
        max_size=2,
    ),
)
upstreams = st.fixed_dictionaries({"type": st.just("roundrobin"), "nodes": nodes}, optional={"desc": texts})


@st.composite
def gateways(draw: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the sections of a gateway that ADC can say exactly."""
    sections: dict[str, list[dict[str, Any]]] = {"services": [], "routes": [], "upstreams": []}
    for id_ in draw(st.sets(ids, max_size=3)):
        service = {"id": id_, "name": f"s{id_}", "plugins": draw(plugins)}
        if draw(st.booleans()):
            service["upstream"] = draw(upstreams)
        else:
            sections["upstreams"].append({"id": f"u{id_}", **draw(upstreams)})
            service["upstream_id"] = f"u{id_}"
        sections["services"].append(service)
        for number in range(draw(st.integers(0, 3))):
            route = {
                "id": f"{id_}-{number}",
                "name": draw(texts),
                "service_id": id_,
                "plugins": draw(plugins),
            }
            route |= {"uri": "/a"} if draw(st.booleans()) else {"uris": ["/a", "/b"]}
            sections["routes"].append(route)
    sections["consumers"] = [
        {"username": name, "plugins": draw(plugins), "desc": draw(texts)}
        for name in draw(st.sets(ids, max_size=3))
    ]
    return sections


def expected(sections: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the resources that the gateway had, in the words that ADC's sync uses."""
    known = {item["id"]: item for item in sections["upstreams"]}
    found = {}
    for service in sections["services"]:
        upstream = service.get("upstream") or {
            n: v for n, v in known[service["upstream_id"]].items() if n != "id"
        }
        listed = upstream["nodes"]
        if isinstance(listed, dict):
            pairs = [(address.rpartition(":"), weight) for address, weight in listed.items()]
            listed = [
                {"host": host.strip("[]"), "port": int(port), "weight": weight}
                for (host, _, port), weight in pairs
            ]
        upstream = _in_adc({**upstream, "nodes": listed})
        own = {name: value for name, value in service.items() if name != "upstream_id"}
        found[f"services/{service['id']}"] = own | {"upstream": upstream}
    for route in sections["routes"]:
        stored = dict(route)
        stored["uris"] = [stored.pop("uri")] if "uri" in stored else stored["uris"]
        found[f"routes/{route['id']}"] = stored
    for consumer in sections["consumers"]:
        found[f"consumers/{consumer['username']}"] = consumer
    return found


def _in_adc(item: dict[str, Any]) -> dict[str, Any]:
    return {"description" if name == "desc" else name: value for name, value in item.items()}


@given(gateways(), st.sampled_from(["flow", "block"]))
def test_what_adc_can_say_comes_back_the_same(sections: dict[str, list[dict[str, Any]]], style: str) -> None:
    made = to_adc(json.loads(json.dumps(sections)))
    document = file_of(made, style)
    lint(document)
    assert synced(document) == expected(sections)
    assert not any(made.inexact.values())
    assert not made.left_out


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"routes": [{"id": "1", "uri": "/a", "status": 0}]}, {"routes/1": "it is disabled"}),
        (
            {"routes": [{"id": "1", "service_id": "x", "uri": "/a"}]},
            {"routes/1": "its service x isn't there"},
        ),
        ({"routes": [{"id": "1", "host": "h"}]}, {"routes/1": "it has no uri"}),
        ({"routes": [{"id": "1", "uri": "/", "methods": ["QUERY"]}]}, {"routes/1": "no method QUERY"}),
        (
            {"routes": [{"id": "1", "uri": "/", "script": "x"}]},
            {"routes/1": "no place for script; it has no service"},
        ),
        ({"upstreams": [{"id": "1", "nodes": {}}]}, {"upstreams/1": "no service or route uses it"}),
        ({"protos": [{"id": "1", "content": "x"}]}, {"protos/1": "no protos"}),
        ({"secrets": [{"id": "vault/1", "uri": "x"}]}, {"secrets/vault/1": "no secret managers"}),
        ({"plugin_configs": [{"id": "1", "plugins": {}}]}, {"plugin_configs/1": "no route uses it"}),
        ({"plugins": [{"name": "cors"}]}, {"plugins/": "no list of plugins"}),
        ({"ssls": [{"id": "1", "cert": "c", "key": "k"}]}, {"ssls/1": "wants server names"}),
        ({"ssls": [{"id": "1", "cert": "c", "key": "k", "sni": "a", "status": 0}]}, {"ssls/1": "disabled"}),
        ({"consumers": [{"username": "a", "group_id": "g"}]}, {"consumers/a": "its group g isn't there"}),
        (
            {"consumers": [{"username": "a"}, {"id": "a/credentials/c", "plugins": {"ldap-auth": {}}}]},
            {"consumers/a/credentials/c": "knows credentials of"},
        ),
        (
            {
                "global_rules": [
                    {"id": "1", "plugins": {"cors": {}}},
                    {"id": "2", "plugins": {"cors": {"a": 1}}},
                ]
            },
            {"global_rules/2": "another global rule has cors"},
        ),
        (
            {"services": [{"id": "1", "upstream": {"nodes": {"a:1": 1}, "tls": {"verify": True}}}]},
            {"services/1": "no certificate"},
        ),
        ({"services": [{"id": "1", "desc": "${HOME}"}]}, {"services/1": "replaces"}),
        ({"services": [{"id": "1", "upstream_id": "2"}]}, {"services/1": "its upstream 2 isn't there"}),
    ],
)
def test_what_adc_cannot_say_is_told(sections: dict[str, list[dict[str, Any]]], told: dict[str, str]) -> None:
    made = to_adc(sections)
    lint(file_of(made))
    said = {f"{section}/{id_}": why for (section, id_), why in made.left_out.items()}
    said |= {f"{section}/{id_}": "; ".join(whys) for (section, id_), whys in made.inexact.items() if whys}
    assert said.keys() == told.keys()
    assert all(words in said[name] for name, words in told.items()), said


def test_what_refers_to_one_another_is_put_into_one_another() -> None:
    made = to_adc(
        {
            "services": [{"id": "s", "plugins": {"cors": {}}}],
            "upstreams": [
                {"id": "u", "nodes": {"a:1": 1}},
                {"id": "v", "nodes": {"b": 1}, "scheme": "https"},
            ],
            "plugin_configs": [{"id": "p", "plugins": {"cors": {"a": 1}, "key-auth": {}}}],
            "routes": [
                {"id": "1", "uri": "/1", "service_id": "s", "upstream_id": "u"},
                {"id": "2", "uri": "/2", "service_id": "s", "plugin_config_id": "p", "plugins": {"cors": {}}},
                {"id": "3", "uri": "/3", "upstream_id": "v"},
            ],
            "stream_routes": [{"id": "4", "service_id": "s", "server_port": 1}],
            "consumer_groups": [{"id": "g", "plugins": {"cors": {}}}],
            "consumers": [
                {"username": "a", "group_id": "g"},
                {"id": "a/credentials/c", "plugins": {"key-auth": {"key": "k"}}},
            ],
        }
    )
    document = file_of(made)
    lint(document)
    found = synced(document)
    assert found["routes/1"]["service_id"] == "r-1"
    assert found["services/r-1"]["upstream"]["nodes"] == [{"host": "a", "port": 1, "weight": 1}]
    assert found["services/r-1"]["plugins"] == {"cors": {}}
    assert found["routes/2"]["plugins"] == {"cors": {}, "key-auth": {}}
    assert found["services/r-3"]["upstream"]["nodes"] == [{"host": "b", "port": 443, "weight": 1}]
    assert found["stream_routes/4"]["service_id"] == "s-stream"
    assert found["consumers/a"]["group_id"] == "g"
    assert found["consumers/a/credentials/c"]["plugins"] == {"key-auth": {"key": "k"}}
    assert {name for name, whys in made.inexact.items() if whys} == {
        ("routes", "1"),
        ("routes", "2"),
        ("routes", "3"),
        ("services", "s"),
    }


def test_an_empty_gateway_is_an_empty_file() -> None:
    assert file_of(to_adc({})) == {}


def test_certificates_metadata_and_a_plugin_config_that_is_gone() -> None:
    made = to_adc(
        {
            "ssls": [{"id": "1", "cert": "c", "key": "k", "certs": ["d"], "keys": ["l"], "sni": "a.example"}],
            "plugin_metadata": [{"id": "syslog", "log_format": {"a": "b"}}],
            "services": [{"id": "s"}],
            "routes": [{"id": "1", "uri": "/", "service_id": "s", "plugin_config_id": "gone"}],
        }
    )
    document = file_of(made)
    lint(document)
    found = synced(document)
    assert found["ssls/1"] == {
        "id": "1",
        "snis": ["a.example"],
        "cert": "c",
        "key": "k",
        "certs": ["d"],
        "keys": ["l"],
    }
    assert found["plugin_metadata/syslog"] == {"id": "syslog", "log_format": {"a": "b"}}
    assert made.inexact["routes", "1"] == ["its plugin_config gone isn't there"]
