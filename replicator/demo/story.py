"""The day: who did what at the gateway of a small shop, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from replicator.demo.admin_api import DIRECTORIES, Delete, Heartbeat, Marker, Put, Write, encrypted

HOST: Final = "shop.example"


class Mood(Enum):
    """What a step is in the story."""

    WORK = "work"
    MISTAKE = "mistake"
    REPAIR = "repair"


@dataclass(frozen=True)
class Step:
    """Something that happens.

    Attributes:
        at: The story's time, as in ``09:12``.
        what: What people would say of it.
        writes: What APISIX writes to etcd for it, at least one; each is a revision of its own.
        mood: What it is in the story.
    """

    at: str
    what: str
    writes: tuple[Write, ...]
    mood: Mood = Mood.WORK


@dataclass(frozen=True)
class Moment:
    """A moment worth restoring.

    Attributes:
        name: ``before``, ``during`` or ``after`` the mistake.
        at: The story's time.
        steps: How many steps of the day have happened by then.
    """

    name: str
    at: str
    steps: int


@dataclass(frozen=True)
class Part:
    """A part of a restored file: an item of a section, and those of its fields that the story is about."""

    section: str
    name: str
    fields: tuple[str, ...]


TOUCHED: Final = (
    Part("upstreams", "checkout", ("nodes", "retries")),
    Part("routes", "checkout", ("uri",)),
    Part("consumers", "mobile_app", ("plugins",)),
)
"""What the mistake does harm to."""


def day(certificate: str, private_key: str) -> tuple[Step, ...]:
    """Return the steps of the day, in order; the shop's TLS has *certificate* and *private_key*, as PEM."""
    tls = {"cert": certificate, "key": encrypted(private_key), "snis": [HOST], "type": "server", "status": 1}
    published = Step("09:05", f"certificate for {HOST}", (Put("ssls", "shop", tls),))
    return (*_OPENING, published, *_MORNING, *_MISTAKE, *_REPAIR, *_EVENING)


def moments(steps: tuple[Step, ...]) -> tuple[Moment, Moment, Moment]:
    """Return the three moments: right before the mistake, right after it, and when it is repaired."""
    moods = [step.mood for step in steps]
    first, repair = moods.index(Mood.MISTAKE), moods.index(Mood.REPAIR)
    repaired = repair + moods.count(Mood.REPAIR)
    return (
        Moment("before", "14:31", first),
        Moment("during", "14:33", repair),
        Moment("after", "14:52", repaired),
    )


def _upstream(name: str, *nodes: str, **more: Any) -> Put:
    balanced = {"type": "roundrobin", "scheme": "http", "nodes": dict.fromkeys(nodes, 1)}
    return Put("upstreams", name, balanced | more)


def _route(name: str, uri: str, method: str, service: str) -> Put:
    return Put("routes", name, {"uri": uri, "methods": [method], "service_id": service, "status": 1})


def _consumer(name: str, key: str) -> Put:
    return Put("consumers", name, {"plugins": {"key-auth": {"key": encrypted(key)}}})


def _checkout_service(per_minute: int) -> Put:
    limit = {"count": per_minute, "time_window": 60, "rejected_code": 429, "key": "consumer_name"}
    plugins = {"key-auth": {}, "limit-count": limit}
    return Put("services", "checkout", {"upstream_id": "checkout", "plugins": plugins})


_CHECKOUT_NODES: Final = ("10.0.2.21:8080", "10.0.2.22:8080")
_CHECKOUT_ROUTE: Final = _route("checkout", "/checkout", "POST", "checkout")
_MOBILE_APP: Final = _consumer("mobile_app", "fern-mobile-8c41d07ab2")

_GATEWAY_ID: Final = "0f9c2d7e-5b1a-4c53-9d55-3e1f6a7b8c90"
_GATEWAY: Final = {"id": _GATEWAY_ID, "hostname": "gateway-1", "version": "3.18.0", "etcd_version": "3.5.0"}
_LOG_FORMAT: Final = {"client": "$remote_addr", "request": "$request_uri", "status": "$status"}

_OPENING: Final = (
    Step("08:55", "APISIX starts: directory markers", tuple(map(Marker, DIRECTORIES))),
    Step("08:55", "gateway-1 reports in, on a lease", (Heartbeat(_GATEWAY_ID, _GATEWAY, 7200),)),
    Step("09:00", "upstream catalog, two nodes", (_upstream("catalog", "10.0.1.11:8080", "10.0.1.12:8080"),)),
    Step("09:01", "service catalog", (Put("services", "catalog", {"upstream_id": "catalog"}),)),
    Step("09:02", "route /products/* published", (_route("products", "/products/*", "GET", "catalog"),)),
)
_MORNING: Final = (
    Step("09:10", "upstream checkout, two nodes", (_upstream("checkout", *_CHECKOUT_NODES),)),
    Step("09:11", "service checkout, 100 requests a minute", (_checkout_service(100),)),
    Step("09:12", "route /checkout published", (_CHECKOUT_ROUTE,)),
    Step("09:20", "consumer mobile_app gets a key", (_MOBILE_APP,)),
    Step("09:21", "consumer till gets a key", (_consumer("till", "fern-till-52e90f"),)),
    Step(
        "09:40", "metrics for all routes", (Put("global_rules", "metrics", {"plugins": {"prometheus": {}}}),)
    ),
    Step(
        "09:45",
        "log format of http-logger",
        (Put("plugin_metadata", "http-logger", {"log_format": _LOG_FORMAT}),),
    ),
    Step("12:05", "lunch rush: checkout gets 300 a minute", (_checkout_service(300),)),
)
_MISTAKE: Final = (
    Step(
        "14:32",
        "staging's script runs here: wrong nodes",
        (_upstream("checkout", "10.9.0.5:8080"),),
        Mood.MISTAKE,
    ),
    Step("14:32", "... and route /checkout is deleted", (Delete("routes", "checkout"),), Mood.MISTAKE),
    Step("14:32", "... and consumer mobile_app", (Delete("consumers", "mobile_app"),), Mood.MISTAKE),
)
_REPAIR: Final = (
    Step(
        "14:49",
        "upstream checkout repaired, retries once",
        (_upstream("checkout", *_CHECKOUT_NODES, retries=1),),
        Mood.REPAIR,
    ),
    Step("14:50", "route /checkout is back", (_CHECKOUT_ROUTE,), Mood.REPAIR),
    Step("14:51", "consumer mobile_app is back", (_MOBILE_APP,), Mood.REPAIR),
)
_EVENING: Final = (
    Step(
        "17:30", "route /gift-cards/* published", (_route("gift-cards", "/gift-cards/*", "GET", "catalog"),)
    ),
)
