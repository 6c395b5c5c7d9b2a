"""What is known of the gateway that will read a restored file: from the settings, from files, from itself."""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

import msgspec
import yaml

from replicator.apisix import DEFAULT_KEYRING, EncryptFields, Options, keyring, plugin_lists
from replicator.errors import UsageError

if TYPE_CHECKING:
    from replicator.config import Apisix

_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says of the gateway; None where it says nothing."""

    version: str | None = None
    keyring: Path | None = None
    plugins: Path | None = None


def options(settings: Apisix, given: Given) -> Options:
    """Return all that must be known of the gateway: *given* first, then *settings*, then APISIX's defaults.

    Args:
        settings: The section ``apisix``.
        given: The command line's word.

    Raises:
        UsageError: A file can't be read, or holds something else.
    """
    http, stream = _plugins(settings, given.plugins)
    return Options(
        keyring=_keyring(settings, given.keyring),
        plugins=http,
        stream_plugins=stream,
        version=given.version or settings.version,
        encrypt_fields=_encrypt_fields(settings),
    )


def _keyring(settings: Apisix, path: Path | None) -> tuple[bytes, ...]:
    if path is not None:
        return keyring(_document(path, "--keyring"))
    if settings.keyring is not None:
        return keyring([key.reveal() for key in settings.keyring])
    return DEFAULT_KEYRING


def _plugins(settings: Apisix, path: Path | None) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    if path is not None:
        return plugin_lists(_document(path, "--plugins"))
    return _names(settings.plugins), _names(settings.stream_plugins)


def _names(names: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


def _encrypt_fields(settings: Apisix) -> EncryptFields:
    own = EncryptFields.of(msgspec.to_builtins(settings.encrypt_fields))
    return _table(settings.schema).extended(own)


def _table(schema: str) -> EncryptFields:
    """Return what ``apisix.schema`` names: a table that we have, or a gateway's own word."""
    if schema == "builtin":
        return EncryptFields.builtin()
    if schema == "none":
        return EncryptFields({})
    if schema.startswith(("http://", "https://")):
        return EncryptFields.from_schema(_downloaded(schema))
    return EncryptFields.from_schema(_document(Path(schema), "apisix.schema"))


def _downloaded(url: str) -> Any:
    if "@" in url:
        raise UsageError(
            "apisix.schema has an @ in it: a control API knows no user or password",
            hint="save the document while the gateway is up, and name the file",
        )
    try:
        with urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 (the scheme was looked at)
            return msgspec.json.decode(answer.read())
    except (URLError, HTTPException, OSError, ValueError, msgspec.DecodeError) as error:
        raise UsageError(
            f"apisix.schema: {url} gives no schema ({error})",
            hint="save the document while the gateway is up, and name the file",
        ) from None


def _document(path: Path, what: str) -> Any:
    """Return the decoded content of a YAML or JSON file. No error quotes it: it may hold keys."""
    try:
        return yaml.safe_load(path.read_bytes())
    except OSError as error:
        hint = "name a file that is there, and that this user may read"
        raise UsageError(f"{what}: can't read {path}: {error.strerror}", hint=hint) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError):
        hint = "write it like [first, second]"
        raise UsageError(f"{what}: {path} is neither YAML nor JSON", hint=hint) from None
