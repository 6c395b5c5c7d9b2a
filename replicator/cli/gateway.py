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


def options(settings: Apisix, given: Given, config: bytes | None = None) -> Options:
    """Return all that must be known of the gateway.

    What counts is *given*, else *settings*, else *config*, else APISIX's defaults.

    Args:
        settings: The section ``apisix``.
        given: The command line's word.
        config: The gateway's own config.yaml, if it was recorded.

    Raises:
        UsageError: A file can't be read, or holds something else.
    """
    own = _own(config) if config is not None and asks_config(settings, given) else {}
    http, stream = _plugins(settings, given.plugins, own)
    return Options(
        keyring=_keyring(settings, given.keyring, own),
        plugins=http,
        stream_plugins=stream,
        version=given.version or settings.version,
        encrypt_fields=_encrypt_fields(settings),
    )


def asks_config(settings: Apisix, given: Given) -> bool:
    """Tell whether the gateway's config.yaml would have a say: neither of the others says it all."""
    says_keys = given.keyring is not None or settings.keyring is not None
    says_plugins = given.plugins is not None or settings.plugins is not None
    return not (says_keys and says_plugins)


def _own(config: bytes) -> dict[str, Any]:
    """Return the decoded config.yaml. No error quotes it: it holds keys."""
    hint = "say --keyring FILE and --plugins FILE"
    try:
        document = yaml.safe_load(config)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
        raise UsageError("the config.yaml of the instance archive is no YAML", hint=hint) from None
    if document is not None and not isinstance(document, dict):
        raise UsageError("the config.yaml of the instance archive is no mapping", hint=hint)
    return {name: value for name, value in (document or {}).items() if value is not None}


def _keyring(settings: Apisix, path: Path | None, own: dict[str, Any]) -> tuple[bytes, ...]:
    if path is not None:
        return keyring(_document(path, "--keyring"))
    if settings.keyring is not None:
        return keyring([key.reveal() for key in settings.keyring])
    return keyring(own) if "apisix" in own else DEFAULT_KEYRING


def _plugins(
    settings: Apisix, path: Path | None, own: dict[str, Any]
) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    if path is not None:
        return plugin_lists(_document(path, "--plugins"))
    listed = {name: own[name] for name in ("plugins", "stream_plugins") if name in own}
    http, stream = plugin_lists(listed) if listed else (None, None)
    return (
        http if settings.plugins is None else _names(settings.plugins),
        stream if settings.stream_plugins is None else _names(settings.stream_plugins),
    )


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
