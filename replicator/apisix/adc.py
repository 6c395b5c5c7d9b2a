"""A gateway's configuration as ADC's: what `adc diff` and `adc sync` read.

ADC thinks in services, which hold their upstream and their routes. So what refers to one another is put into
one another, and what ADC has no word for is told.

Source: api7/adc, the schema of its linter and the transformer of its backend for APISIX.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Item: TypeAlias = dict[str, Any]
Name: TypeAlias = tuple[str, str]  # section and id

_OWN: Final = frozenset({"id", "create_time", "update_time"})
_COMMON: Final = {"labels": "labels", "desc": "description"}
_ROUTE: Final = {
    **{
        name: name for name in ("hosts", "uris", "priority", "timeout", "vars", "methods", "enable_websocket")
    },
    **{name: name for name in ("remote_addrs", "plugins", "filter_func")},
    **_COMMON,
}
_STREAM_ROUTE: Final = {
    **{name: name for name in ("plugins", "remote_addr", "server_addr", "server_port", "sni")},
    **_COMMON,
}
_SERVICE: Final = {"plugins": "plugins", "hosts": "hosts", **_COMMON}
_UPSTREAM: Final = {
    **{name: name for name in ("name", "type", "hash_on", "key", "checks", "nodes", "scheme", "retries")},
    **{name: name for name in ("retry_timeout", "timeout", "tls", "keepalive_pool", "pass_host")},
    **{name: name for name in ("upstream_host", "service_name", "discovery_type", "discovery_args")},
    **_COMMON,
}
_CONSUMER: Final = {"username": "username", "plugins": "plugins", **_COMMON}
_GROUP: Final = {"plugins": "plugins", **_COMMON}
_SSL: Final = {name: name for name in ("labels", "type", "snis", "client", "ssl_protocols")}
_CREDENTIALS: Final = frozenset({"key-auth", "basic-auth", "jwt-auth", "hmac-auth"})
_PORTS: Final = {"https": 443, "grpcs": 443}
_METHODS: Final = frozenset(
    ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PURGE")
)
_HOMELESS: Final = {
    "upstreams": "no service or route uses it: ADC has no place for it",
    "plugin_configs": "no route uses it: ADC has no place for it",
    "protos": "ADC knows no protos",
    "secrets": "ADC knows no secret managers",
}
_VARIABLE: Final = re.compile(r"\$\{\s*\w+\s*\}")


@dataclass
class AdcConfiguration:
    """What ADC is given, and what is to be told of it.

    Attributes:
        lists: ADC's sections that are lists: ``services``, ``ssls``, ``consumers``, ``consumer_groups``.
        maps: Those by a plugin's name: ``global_rules``, ``plugin_metadata``.
        inexact: What ADC makes a little different: section, id and why.
        left_out: What ADC can't say: section, id and why.
    """

    lists: dict[str, list[Item]] = field(default_factory=lambda: defaultdict(list))
    maps: dict[str, Item] = field(default_factory=lambda: defaultdict(dict))
    inexact: dict[Name, list[str]] = field(default_factory=lambda: defaultdict(list))
    left_out: dict[Name, str] = field(default_factory=dict)


def to_adc(sections: Mapping[str, Iterable[Item]]) -> AdcConfiguration:
    """Return ADC's configuration for *sections*: decoded items by type, each with its id, secrets open."""
    return _Converter(sections).configuration


class _Converter:
    def __init__(self, sections: Mapping[str, Iterable[Item]]) -> None:
        self._items = {
            section: {str(item.get("id", item.get("username", ""))): item for item in items}
            for section, items in sections.items()
            if section != "plugins"
        }
        self._made = AdcConfiguration()
        self._used: set[Name] = set()
        self._services: dict[str, Item] = {}
        self.configuration = self._made
        for id_, service in self._of("services"):
            self._take_service(id_, service)
        for section, kind in (("routes", "routes"), ("stream_routes", "stream_routes")):
            for id_, route in self._of(section):
                self._take_route(section, kind, id_, route)
        self._made.lists["services"] = list(self._services.values())
        self._split_mixed()
        for id_, ssl in self._of("ssls"):
            self._take_ssl(id_, ssl)
        self._take_consumers()
        self._take_maps()
        if "plugins" in sections:
            self._made.left_out["plugins", ""] = "ADC has no list of plugins"
        for section, why in _HOMELESS.items():
            for id_, _ in self._of(section):
                if (section, id_) not in self._used:
                    self._made.left_out[section, id_] = why

    def _of(self, section: str) -> list[tuple[str, Item]]:
        return list(self._items.get(section, {}).items())

    def _take_service(self, id_: str, service: Item) -> None:
        made = self._made_of("services", id_, service, _SERVICE, {"name", "upstream", "upstream_id"})
        made = {"id": id_, "name": service.get("name", id_), **made}
        upstream = self._upstream("services", id_, service)
        if upstream is not None:
            made["upstream"] = upstream
        self._services[id_] = made

    def _take_route(self, section: str, kind: str, id_: str, route: Item) -> None:
        if route.get("status", 1) == 0:
            self._made.left_out[section, id_] = "it is disabled, and ADC would enable it"
            return
        words = _ROUTE if kind == "routes" else _STREAM_ROUTE
        refers = {"name", "status", "service_id", "upstream", "upstream_id", "plugin_config_id"}
        source = _plural(route, ("uri", "host", "remote_addr")) if kind == "routes" else route
        made = self._made_of(section, id_, source, words, refers)
        made = {"id": id_, "name": route.get("name", id_), **made}
        if "plugin_config_id" in route:
            made["plugins"] = self._plugins(section, id_, str(route["plugin_config_id"])) | made.get(
                "plugins", {}
            )
        if kind == "routes" and not made.get("uris"):
            self._made.left_out[section, id_] = "it has no uri, which ADC wants"
            return
        if odd := set(made.get("methods", ())) - _METHODS:
            self._made.left_out[section, id_] = f"ADC knows no method {', '.join(sorted(map(str, odd)))}"
            return
        service = self._service_for(section, id_, route)
        if service is not None:
            service.setdefault(kind, []).append(made)

    def _service_for(self, section: str, id_: str, route: Item) -> Item | None:
        """Return the service that the route is put into: its own, or one that is made for it."""
        service_id = str(route["service_id"]) if "service_id" in route else None
        has_upstream = "upstream" in route or "upstream_id" in route
        if service_id is not None and service_id not in self._services:
            self._made.left_out[section, id_] = f"its service {service_id} isn't there"
            return None
        if service_id is not None and not has_upstream:
            return self._services[service_id]
        made: Item = {"id": f"{section[0]}-{id_}", "name": f"{section}/{id_}"}
        why = "it has no service: ADC gets one for it alone"
        if service_id is not None:
            own = self._services[service_id]
            made = {
                **{n: v for n, v in own.items() if n not in ("routes", "stream_routes", "upstream")},
                **made,
            }
            why = f"it has an upstream of its own: ADC gets a copy of its service {service_id} for it alone"
        upstream = self._upstream(section, id_, route)
        if upstream is not None:
            made["upstream"] = upstream
        self._made.inexact[section, id_].append(why)
        self._services[f"{section} {id_}"] = made
        return made

    def _split_mixed(self) -> None:
        """Give the stream routes of a service that has both kinds a copy of it: ADC wants one kind."""
        for service in list(self._made.lists["services"]):
            if "routes" in service and "stream_routes" in service:
                id_ = str(service["id"])
                copy = {name: value for name, value in service.items() if name != "routes"}
                del service["stream_routes"]
                self._made.lists["services"].append(
                    copy | {"id": f"{id_}-stream", "name": f"{service['name']}-stream"}
                )
                self._made.inexact["services", id_].append(
                    "it has routes of both kinds: ADC gets a copy of it for the stream routes"
                )

    def _upstream(self, section: str, id_: str, item: Item) -> Item | None:
        source = item.get("upstream")
        if source is None and "upstream_id" in item:
            upstream_id = str(item["upstream_id"])
            source = self._items.get("upstreams", {}).get(upstream_id)
            self._used.add(("upstreams", upstream_id))
            if source is None:
                self._made.inexact[section, id_].append(f"its upstream {upstream_id} isn't there")
        if not isinstance(source, dict):
            return None
        made = self._made_of(section, id_, source, _UPSTREAM, set(), "upstream.")
        if isinstance(made.get("nodes"), dict):
            made["nodes"] = [_node(address, weight, source) for address, weight in made["nodes"].items()]
        tls = made.get("tls")
        if isinstance(tls, dict) and not (
            {"client_cert", "client_key"} <= tls.keys() or "client_cert_id" in tls
        ):
            del made["tls"]
            self._made.inexact[section, id_].append(
                "upstream.tls has no certificate, which ADC wants: left out"
            )
        return made

    def _plugins(self, section: str, id_: str, config_id: str) -> Item:
        """Return a plugin config's plugins, which a route's own go above."""
        self._used.add(("plugin_configs", config_id))
        config = self._items.get("plugin_configs", {}).get(config_id)
        if config is None:
            self._made.inexact[section, id_].append(f"its plugin_config {config_id} isn't there")
            return {}
        self._made.inexact[section, id_].append(
            f"the plugins of plugin_config {config_id} are its own for ADC"
        )
        return dict(config.get("plugins", {}))

    def _take_ssl(self, id_: str, ssl: Item) -> None:
        if ssl.get("status", 1) == 0:
            self._made.left_out["ssls", id_] = "it is disabled, and ADC would enable it"
            return
        ssl = _plural(ssl, ("sni",))
        made = self._made_of("ssls", id_, ssl, _SSL, {"status", "cert", "key", "certs", "keys"})
        pairs = zip(
            [ssl.get("cert"), *ssl.get("certs", [])], [ssl.get("key"), *ssl.get("keys", [])], strict=False
        )
        made["certificates"] = [{"certificate": one, "key": other} for one, other in pairs if one and other]
        if not made.get("snis") or not made["certificates"]:
            self._made.left_out["ssls", id_] = "ADC wants server names, and a certificate with its key"
            return
        self._made.lists["ssls"].append({"id": id_, **made})

    def _take_consumers(self) -> None:
        groups: dict[str, Item] = {}
        for id_, group in self._of("consumer_groups"):
            made = self._made_of("consumer_groups", id_, group, _GROUP, {"name"})
            groups[id_] = {"id": id_, "name": group.get("name", id_), "plugins": {}, **made}
        credentials = self._credentials()
        for id_, consumer in self._of("consumers"):
            if "/credentials/" in id_:
                continue
            made = self._made_of("consumers", id_, consumer, _CONSUMER, {"group_id"})
            if id_ in credentials:
                made["credentials"] = credentials[id_]
            group_id = str(consumer.get("group_id", ""))
            if group_id in groups:
                groups[group_id].setdefault("consumers", []).append(made)
                continue
            if group_id:
                self._made.inexact["consumers", id_].append(f"its group {group_id} isn't there")
            self._made.lists["consumers"].append(made)
        if groups:
            self._made.lists["consumer_groups"] = list(groups.values())

    def _credentials(self) -> dict[str, list[Item]]:
        """Return the credentials of each consumer that has any."""
        found: dict[str, list[Item]] = defaultdict(list)
        for id_, item in self._of("consumers"):
            credential = self._credential(id_, item) if "/credentials/" in id_ else None
            if credential is not None:
                found[id_.partition("/")[0]].append(credential)
        return found

    def _credential(self, id_: str, item: Item) -> Item | None:
        plugins = item.get("plugins", {})
        if len(plugins) != 1 or not plugins.keys() <= _CREDENTIALS:
            self._made.left_out["consumers", id_] = (
                f"ADC knows credentials of {', '.join(sorted(_CREDENTIALS))} alone"
            )
            return None
        ((type_, config),) = plugins.items()
        own = id_.rpartition("/")[2]
        made = self._made_of("consumers", id_, item, _COMMON, {"name", "plugins"})
        return {"id": own, "name": item.get("name", own), "type": type_, "config": config, **made}

    def _take_maps(self) -> None:
        for id_, rule in self._of("global_rules"):
            for plugin, config in rule.get("plugins", {}).items():
                if plugin in self._made.maps["global_rules"]:
                    self._made.inexact["global_rules", id_].append(
                        f"another global rule has {plugin} too: left out here"
                    )
                else:
                    self._made.maps["global_rules"][plugin] = config
        for plugin, item in self._of("plugin_metadata"):
            own = {name: value for name, value in item.items() if name not in _OWN}
            self._made.maps["plugin_metadata"][plugin] = own

    def _made_of(
        self, section: str, id_: str, item: Item, words: Mapping[str, str], handled: set[str], lead: str = ""
    ) -> Item:
        """Return what ADC has of *item* by *words*, its names for ours; tell of what it has no name for."""
        lost = [name for name in item if name not in words and name not in handled and name not in _OWN]
        if lost:
            told = ", ".join(f"{lead}{name}" for name in sorted(lost))
            self._made.inexact[section, id_].append(f"ADC has no place for {told}")
        made = {words[name]: value for name, value in item.items() if name in words}
        if _has_variable(made):
            self._made.inexact[section, id_].append(
                "ADC replaces ${...} in it by variables of its environment"
            )
        return made


def _plural(item: Item, names: Iterable[str]) -> Item:
    """Return *item* with ``uris: [a]`` for ``uri: a``, and so on."""
    made = dict(item)
    for name in names:
        if name in made:
            made.setdefault(f"{name}s", [made.pop(name)])
            made.pop(name, None)
    return made


def _node(address: str, weight: Any, upstream: Item) -> Item:
    host, colon, port = address.rpartition(":")
    if colon and port.isascii() and port.isdecimal():
        return {"host": host.strip("[]"), "port": int(port), "weight": weight}
    return {"host": address, "port": _PORTS.get(upstream.get("scheme", "http"), 80), "weight": weight}


def _has_variable(value: Any) -> bool:
    if isinstance(value, str):
        return _VARIABLE.search(value) is not None
    if isinstance(value, dict):
        return any(map(_has_variable, value.values()))
    return isinstance(value, list) and any(map(_has_variable, value))
