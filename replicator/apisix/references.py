"""What a resource refers to, and in which order resources can be written so that nothing dangles.

Source: apisix/admin/*.lua, which checks these before it stores a resource.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from replicator.apisix.fields import document_of
from replicator.apisix.resource import PLUGIN_LIST, Resource, type_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BY_FIELD: Final = {
    "upstream_id": "upstreams",
    "service_id": "services",
    "plugin_config_id": "plugin_configs",
    "group_id": "consumer_groups",
}

_ORDER: Final = (
    PLUGIN_LIST,
    "secrets",
    "protos",
    "ssls",
    "plugin_metadata",
    "upstreams",
    "plugin_configs",
    "consumer_groups",
    "services",
    "global_rules",
    "consumers",
    "routes",
    "stream_routes",
)


def rank(key: bytes, prefix: bytes) -> int:
    """Return the place of *key* in the order of writing: what others refer to comes before them."""
    type_ = type_of(key, prefix)
    if type_ is None:
        return 0  # placeholders of directories, and what is no resource
    place = 2 * _ORDER.index(type_) + 1
    return place + 1 if type_ == "consumers" and b"/credentials/" in key else place


def references(resource: Resource, value: bytes) -> set[Resource]:
    """Return what *resource*, which holds *value*, refers to by an id; a credential: also its consumer."""
    document = document_of(value)
    found = set(_of_document(document))
    if resource.type == "consumers" and resource.id and "/credentials/" in resource.id:
        found.add(Resource("consumers", resource.id.partition("/")[0]))
    found.discard(resource)
    return found


def referrers(resource: Resource, items: Iterable[tuple[bytes, bytes]], prefix: bytes) -> Iterator[Resource]:
    """Yield each resource among *items*, keys and values, that refers to *resource*."""
    word = (resource.id or "").rpartition("/")[2].encode()
    for key, value in items:
        if word not in value and word not in key:
            continue
        other = resource_of(key, prefix)
        if other is not None and other != resource and resource in references(other, value):
            yield other


def resource_of(key: bytes, prefix: bytes) -> Resource | None:
    """Return the resource at *key*; None if it is none, or its id is no text."""
    type_ = type_of(key, prefix)
    if type_ is None:
        return None
    if type_ == PLUGIN_LIST:
        return Resource(type_)
    try:
        return Resource(type_, key[len(Resource(type_).key(prefix)) :].decode())
    except UnicodeDecodeError:
        return None


def _of_document(document: Any) -> Iterator[Resource]:
    if isinstance(document, dict):
        for name, value in document.items():
            if name in _BY_FIELD and isinstance(value, str | int):
                yield Resource(_BY_FIELD[name], str(value))
            elif name == "client_cert_id" and isinstance(value, str | int):
                yield Resource("ssls", str(value))
            elif name == "grpc-transcode" and isinstance(value, dict) and "proto_id" in value:
                yield Resource("protos", str(value["proto_id"]))
            yield from _of_document(value)
    elif isinstance(document, list):
        for value in document:
            yield from _of_document(value)
