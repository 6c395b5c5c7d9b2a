"""What APISIX writes to etcd: the Admin API's requests as keys and values, with ids, times and secrets."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from replicator.apisix import DEFAULT_KEYRING

PREFIX: Final = "/apisix"

DIRECTORIES: Final = (
    "consumer_groups",
    "consumers",
    "global_rules",
    "plugin_configs",
    "plugin_metadata",
    "plugins",
    "protos",
    "routes",
    "secrets",
    "services",
    "ssls",
    "stream_routes",
    "upstreams",
)
"""Where APISIX puts a marker each time it starts."""


@dataclass(frozen=True)
class Put:
    """A request that makes or replaces ``<directory>/<name>`` with *fields*."""

    directory: str
    name: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Delete:
    """A request that removes ``<directory>/<name>``."""

    directory: str
    name: str


@dataclass(frozen=True)
class Marker:
    """The control plane's start: ``init_dir`` at a directory."""

    directory: str


@dataclass(frozen=True)
class Heartbeat:
    """A gateway's report of itself, on a lease of *ttl_s* seconds."""

    name: str
    fields: dict[str, Any]
    ttl_s: int


Write = Put | Delete | Marker | Heartbeat


def key_of(write: Write) -> bytes:
    """Return the key that *write* is about."""
    match write:
        case Marker(directory):
            path = f"{directory}/"
        case Heartbeat(name):
            path = f"data_plane/server_info/{name}"
        case Put(directory, name) | Delete(directory, name):
            path = f"{directory}/{name}"
    return f"{PREFIX}/{path}".encode()


class AdminApi:
    """Turns requests into values; remembers when each resource was made, as etcd does for the real one."""

    def __init__(self) -> None:
        self._created_s: dict[bytes, int] = {}

    def value(self, write: Write, now_s: int) -> bytes | None:
        """Return what is put for *write*, None for a delete; *now_s* is the time in Unix seconds."""
        match write:
            case Delete():
                self._created_s.pop(key_of(write), None)
                return None
            case Marker():
                return b"init_dir"
            case Heartbeat(fields=fields):
                return _json({**fields, "boot_time": now_s})
            case Put():
                return _json(self._resource(write, now_s))

    def _resource(self, put: Put, now_s: int) -> dict[str, Any]:
        named = {"username" if put.directory == "consumers" else "id": put.name}
        if put.directory == "plugin_metadata":  # the one kind without times
            return named | put.fields
        created_s = self._created_s.setdefault(key_of(put), now_s)
        return named | put.fields | {"create_time": created_s, "update_time": now_s}


def encrypted(plain: str) -> str:
    """Return *plain* as APISIX stores it under its default keyring: AES-128-CBC, the key as the vector."""
    key = DEFAULT_KEYRING[0]
    padder, cipher = padding.PKCS7(128).padder(), Cipher(algorithms.AES(key), modes.CBC(key)).encryptor()
    padded = padder.update(plain.encode()) + padder.finalize()
    return b64encode(cipher.update(padded) + cipher.finalize()).decode()


def _json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()
