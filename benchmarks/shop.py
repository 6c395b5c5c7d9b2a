"""A shop's gateway configuration as APISIX stores it, and the edits of its working day; all from a seed.

Values have the size and the make of real ones: 300 B for a consumer, about 900 B for a route with its
plugins, 4 KB for a certificate, up to 60 KB for a description of messages; compact JSON whose members stand
in no order, as lua-cjson writes them; credentials and private keys encrypted, in base64.
"""

from __future__ import annotations

import base64
import json
import random
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from replicator.apisix import DEFAULT_KEYRING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KeyValue = tuple[bytes, bytes]

KEYS_A_ROUTE = 1.25
"""How many keys a shop has for each of its routes, about."""

_BORN = 1_763_000_000
_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]
_WORDS = [
    "basket",
    "catalog",
    "checkout",
    "coupon",
    "delivery",
    "invoice",
    "media",
    "offer",
    "order",
    "payment",
]
_TEAMS = ["buying", "finance", "logistics", "platform", "search", "storefront"]


class Shop:
    """A gateway with *routes* routes and what belongs to them, about 1.25 keys for each.

    Args:
        routes: How many.
        seed: The same seed gives the same bytes.
        small: Give every value about 300 B: bare routes and nothing else.
    """

    def __init__(self, routes: int, *, seed: int = 1, small: bool = False) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._small = small
        self._counts = {"routes": routes} if small else _proportions(routes)
        self._edited: dict[tuple[str, int], dict[str, Any]] = {}

    def items(self) -> Iterator[KeyValue]:
        """Yield all keys and values of the configuration as it was at first, section by section."""
        for section, count in self._counts.items():
            for number in range(count):
                yield _stored(section, number, self._made(section, number))

    def changes(self) -> Iterator[KeyValue]:
        """Yield edits without end, each of what the one before it has left.

        Most are an upstream that a node has joined or left, or whose weights were moved; the others a route.
        """
        while True:
            section = "upstreams" if "upstreams" in self._counts and self._random.random() < 0.8 else "routes"
            number = self._random.randrange(self._counts[section])
            item = self._edited.get((section, number)) or self._made(section, number)
            self._edited[section, number] = item
            _EDITS[section](self._random, item)
            item["update_time"] += self._random.randrange(1, 100_000)
            yield _stored(section, number, item)

    def _made(self, section: str, number: int) -> dict[str, Any]:
        chance = random.Random(f"{self._seed}/{section}/{number}")
        item = {
            "id": _identity(section, number),
            "create_time": _BORN + number,
            "update_time": _BORN + number + chance.randrange(10_000_000),
            **(_bare_route(number) if self._small else _MAKERS[section](chance, number)),
        }
        if section == "consumers":
            item["username"] = item.pop("id")
        members = list(item.items())
        chance.shuffle(members)
        return dict(members)


def _stored(section: str, number: int, item: dict[str, Any]) -> KeyValue:
    value = json.dumps(item, separators=(",", ":"))
    return f"/apisix/{section}/{_identity(section, number)}".encode(), value.encode()


def _identity(section: str, number: int) -> str:
    return f"{section[:2]}{'_' if section == 'consumers' else '-'}{number:08d}"


def _edit_upstream(chance: random.Random, item: dict[str, Any]) -> None:
    nodes = item["nodes"]
    if chance.random() < 0.5:
        chance.choice(nodes)["weight"] = chance.randrange(101)
    elif len(nodes) > 2 and chance.random() < 0.5:
        nodes.remove(chance.choice(nodes))
    else:
        nodes.append(_node(chance, chance.randrange(200)))


def _edit_route(chance: random.Random, item: dict[str, Any]) -> None:
    limit = item["plugins"]["limit-count"]
    if chance.random() < 0.5:
        limit["count"] = chance.randrange(100, 5000, 100)
    else:
        item["priority"] = chance.randrange(10)


def _proportions(routes: int) -> dict[str, int]:
    return {
        "consumers": routes // 20,
        "global_rules": 1,
        "plugin_configs": routes // 100,
        "protos": routes // 500,
        "routes": routes,
        "services": routes // 20,
        "ssls": routes // 200,
        "upstreams": routes // 8 or 1,
    }


def _bare_route(number: int) -> dict[str, Any]:
    return {
        "uri": f"/{_word(number)}/v1/{number}/*",
        "name": f"{_word(number)}-{number}",
        "methods": ["GET", "POST"],
        "upstream": {"type": "roundrobin", "nodes": {f"10.0.{number % 250}.7:8080": 1}},
        "status": 1,
        "priority": 0,
        "plugins": {"limit-count": {"count": 100, "time_window": 60, "rejected_code": 429}},
    }


def _route(chance: random.Random, number: int) -> dict[str, Any]:
    word = _word(number)
    return {
        "name": f"{word}-{number}",
        "desc": f"{word} API of the {chance.choice(_TEAMS)} team, in the catalogue as {number}",
        "uris": [f"/{word}/v{chance.randint(1, 4)}/{number}", f"/{word}/v{chance.randint(1, 4)}/{number}/*"],
        "hosts": [f"{word}.shop.example", f"{word}-{number % 40}.eu.shop.example"],
        "methods": chance.sample(_METHODS, chance.randint(1, 4)),
        "labels": {"team": chance.choice(_TEAMS), "stage": "live", "version": f"{chance.randint(1, 90)}"},
        "vars": [["http_x_channel", "==", chance.choice(["web", "app", "till"])]],
        "priority": chance.randrange(10),
        "status": 1,
        "service_id": f"se-{number // 20:08d}",
        "upstream_id": f"up-{number // 8:08d}",
        "timeout": {"connect": 3, "send": 10, "read": chance.choice([10, 30, 60])},
        "plugins": _plugins(chance, number),
    }


def _plugins(chance: random.Random, number: int) -> dict[str, Any]:
    plugins: dict[str, Any] = {
        "limit-count": {
            "count": chance.randrange(100, 5000, 100),
            "time_window": 60,
            "key": "remote_addr",
            "key_type": "var",
            "policy": "local",
            "rejected_code": 429,
        },
        "proxy-rewrite": {"regex_uri": [f"^/{_word(number)}/v[0-9]+/(.*)", "/internal/$1"]},
    }
    if number % 3 == 0:
        origins = [f"https://{_word(number)}-{site}.shop.example" for site in range(chance.randint(1, 6))]
        plugins["cors"] = {"allow_origins": ",".join(origins), "allow_methods": "GET,POST", "max_age": 3600}
    if number % 10 == 0:
        plugins["ip-restriction"] = {
            "whitelist": [f"10.{number % 200}.{net}.0/24" for net in range(chance.randint(2, 60))]
        }
    return plugins


def _upstream(chance: random.Random, number: int) -> dict[str, Any]:
    word = _word(number)
    return {
        "name": f"{word}-{number}",
        "type": "roundrobin",
        "scheme": "http",
        "pass_host": "pass",
        "hash_on": "vars",
        "retries": 2,
        "nodes": [_node(chance, number % 200) for _ in range(chance.randint(2, 12))],
        "checks": {
            "active": {
                "type": "http",
                "http_path": f"/{word}/health",
                "timeout": 1,
                "concurrency": 10,
                "healthy": {"interval": 2, "successes": 2, "http_statuses": [200, 302]},
                "unhealthy": {"interval": 1, "http_failures": 3, "tcp_failures": 2, "timeouts": 3},
            }
        },
    }


def _node(chance: random.Random, net: int) -> dict[str, Any]:
    host = f"10.{net}.{chance.randrange(250)}.{chance.randrange(1, 250)}"
    return {"host": host, "port": 8080, "weight": chance.randrange(101), "priority": 0}


def _service(chance: random.Random, number: int) -> dict[str, Any]:
    return {
        "name": f"{_word(number)}-{number}",
        "desc": f"all routes of {_word(number)}",
        "enable_websocket": chance.random() < 0.1,
        "upstream_id": f"up-{number:08d}",
        "plugins": {"key-auth": {"header": "x-api-key"}, "prometheus": {"prefer_name": True}},
    }


def _consumer(chance: random.Random, number: int) -> dict[str, Any]:
    return {
        "desc": f"partner {number} of the {chance.choice(_TEAMS)} team",
        "labels": {"tier": chance.choice(["gold", "silver", "free"])},
        "plugins": {
            "key-auth": {"key": _encrypted(chance.randbytes(12).hex())},
            "limit-count": {
                "count": chance.randrange(100, 5000, 100),
                "time_window": 60,
                "key": "remote_addr",
            },
        },
    }


def _certificate(chance: random.Random, number: int) -> dict[str, Any]:
    lines = _noise(chance, 1100)
    body = "\n".join(lines[start : start + 64] for start in range(0, len(lines), 64))
    return {
        "type": "server",
        "status": 1,
        "snis": [f"{_word(number)}-{number}.shop.example", f"*.{number}.shop.example"],
        "cert": f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n",
        "key": _noise(chance, 1712),
    }


def _global_rule(_chance: random.Random, _number: int) -> dict[str, Any]:
    proxies = [f"10.0.{net}.0/24" for net in range(8)]
    return {
        "plugins": {
            "prometheus": {"prefer_name": True},
            "request-id": {"header_name": "x-request-id", "include_in_response": True},
            "real-ip": {"source": "http_x_forwarded_for", "trusted_addresses": proxies, "recursive": False},
        }
    }


def _plugin_config(chance: random.Random, number: int) -> dict[str, Any]:
    return {"desc": f"what {_word(number)} has in common", "plugins": _plugins(chance, number)}


def _proto(chance: random.Random, number: int) -> dict[str, Any]:
    word = _word(number)
    fields = [
        f"  {chance.choice(['string', 'int64', 'bool', 'double'])} {_word(field)}_{field} = {field};"
        for field in range(1, chance.randint(100, 2000))
    ]
    body = "\n".join(fields)
    head = f'syntax = "proto3";\npackage {word}{number};\nmessage Everything {{\n'
    return {"desc": f"messages of {word}", "content": f"{head}{body}\n}}\n"}


def _noise(chance: random.Random, size_bytes: int) -> str:
    return base64.b64encode(chance.randbytes(size_bytes)).decode()


def _encrypted(secret: str) -> str:
    """Return *secret* as APISIX stores it under its default keyring."""
    padding = 16 - len(secret) % 16
    encryptor = Cipher(AES(DEFAULT_KEYRING[0]), CBC(DEFAULT_KEYRING[0])).encryptor()
    padded = secret.encode() + bytes([padding]) * padding
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def _word(number: int) -> str:
    return _WORDS[number % len(_WORDS)]


_MAKERS: dict[str, Callable[[random.Random, int], dict[str, Any]]] = {
    "consumers": _consumer,
    "global_rules": _global_rule,
    "plugin_configs": _plugin_config,
    "protos": _proto,
    "routes": _route,
    "services": _service,
    "ssls": _certificate,
    "upstreams": _upstream,
}
_EDITS: dict[str, Callable[[random.Random, dict[str, Any]], None]] = {
    "routes": _edit_route,
    "upstreams": _edit_upstream,
}
