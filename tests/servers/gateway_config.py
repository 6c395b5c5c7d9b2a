"""How the stand-in gateway reads its files, and what it makes of the items in them.

By APISIX 3.18's own code (apisix/cli/file.lua, core/config_yaml.lua, core/config_etcd.lua), with its own YAML
parser. Nothing of ours is used: what our renderer and APISIX might both get wrong must not agree by itself.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from servers.lua import LyamlRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Parse = Callable[[bytes], Any]
    Sections = dict[str, dict[str, dict[str, Any]]]

LISTS = (
    *("routes", "services", "upstreams", "plugin_configs", "consumer_groups", "global_rules"),
    *("ssls", "stream_routes", "protos", "consumers", "secrets", "plugin_metadata"),
)
DEFAULT_KEYRING = ("qeddd145sfvddff3", "edd1c9f0985e76a2")
_PROVIDERS = {"data_plane": ("etcd", "yaml", "json"), "traditional": ("etcd",), "control_plane": ("etcd",)}
_VARIABLE = re.compile(r"\$\{\{\s*([^:{}\s]+)\s*(?::=\s*(.*?))?\s*\}\}")
_ID = re.compile(r"[a-zA-Z0-9\-_.]{1,64}\Z")


class Dies(Exception):
    """What `apisix` ends with, in its words."""


class Unreadable(Exception):
    """A resource file that a running gateway doesn't take."""


@dataclass(frozen=True)
class Node:
    """What a config.yaml says, as far as this gateway goes by it.

    Args:
        role: `deployment.role`.
        provider: Where its configuration comes from: etcd, yaml or json.
        etcd: URLs of etcd.
        prefix: The prefix of its keys.
        keyring: What encrypted fields are opened with, from etcd alone; empty if data encryption is off.
        plugins: The plugins that it loads; None if any name will do.
        listen: The port at which it proxies.
        status: The port of `/status/ready`, if `apisix.status` is there.
    """

    role: str
    provider: str
    etcd: tuple[str, ...]
    prefix: str
    keyring: tuple[str, ...] = field(repr=False)
    plugins: frozenset[str] | None
    listen: int
    status: int | None


def read_node(text: bytes, parse: Parse, variables: Mapping[str, str]) -> Node:
    """Return what the config.yaml *text* says.

    Raises:
        Dies: `apisix init`, and so `apisix start` and `apisix reload`, would refuse it.
    """
    try:
        document = parse(text)
    except LyamlRefused as error:
        raise Dies(f"failed to read local yaml config of apisix: {error}") from None
    if not isinstance(document, dict):
        raise Dies("failed to read local yaml config of apisix: invalid config.yaml file")
    document = _substituted(document, variables)
    apisix, deployment = _part(document, "apisix"), _part(document, "deployment")
    role = deployment.get("role", "traditional")
    if role not in _PROVIDERS:
        raise Dies(f"invalid deployment {role} configuration: role is none of {', '.join(_PROVIDERS)}")
    provider = _part(deployment, f"role_{role}").get("config_provider", "etcd")
    if provider not in _PROVIDERS[role]:
        raise Dies(f'property "config_provider" validation failed: {provider} for the role {role}')
    etcd, encryption = _part(deployment, "etcd"), _part(apisix, "data_encryption")
    listen, names = apisix.get("node_listen", 9080), document.get("plugins")
    return Node(
        role=role,
        provider=provider,
        etcd=tuple(_listed(etcd.get("host", "http://127.0.0.1:2379"))),
        prefix=etcd.get("prefix", "/apisix"),
        keyring=tuple(_listed(encryption.get("keyring", DEFAULT_KEYRING)))
        if encryption.get("enable_encrypt_fields", True)
        else (),
        plugins=frozenset(names) if isinstance(names, list) else None,
        listen=int(_listed(listen)[0]),
        status=int(_part(apisix, "status").get("port", 7085)) if "status" in apisix else None,
    )


def read_file(path: Path, provider: str, parse: Parse, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what a running gateway reads in its resource file.

    Raises:
        Unreadable: It keeps what it has.
    """
    try:
        text = path.read_bytes()
        if provider == "json":
            document = _substituted(json.loads(text), variables)
        else:
            if not re.search(rb"#END\s*\Z", text[-10:]):
                raise Unreadable(f"missing valid end flag in file {path}")
            document = parse(substituted_text(text, variables))
    except (OSError, ValueError, LyamlRefused, Dies) as error:
        raise Unreadable(f"failed to parse the content of file {path}: {error}") from None
    if not isinstance(document, dict):
        raise Unreadable("failed update config: empty table")
    return document


def rehearse_file(path: Path, parse: Parse, variables: Mapping[str, str]) -> None:
    """Read apisix.yaml as `apisix init` does, which cares for neither its end nor its absence.

    Raises:
        Dies: It would refuse it.
    """
    try:
        text = path.read_bytes()
    except OSError:
        return
    try:
        document = parse(substituted_text(text, variables))
    except LyamlRefused as error:
        raise Dies(f"failed to read local yaml config of apisix: {error}") from None
    if document in (None, "<null>"):
        raise Dies("failed to read local yaml config of apisix: invalid apisix.yaml file")


def substituted_text(text: bytes, variables: Mapping[str, str]) -> bytes:
    """Return *text* with the values of its variables, before anybody parses it, as APISIX does since 3.17.

    Raises:
        Dies: A variable is set nowhere.
    """
    return _VARIABLE.sub(lambda match: _value(match, variables), text.decode("latin1")).encode("latin1")


def sections_of(
    document: Mapping[str, Any], loaded: frozenset[str] | None, before: Sections
) -> tuple[Sections, list[str]]:
    """Return the items that a file's *document* brings, by section and id, and what was wrong with others.

    Args:
        document: What was read in the file.
        loaded: The plugins that are loaded, or None for any.
        before: What was held before: a list that can't be walked through leaves its section as it was.
    """
    sections: Sections = {}
    complaints = []
    for section in LISTS:
        items = document.get(section, {})
        if isinstance(items, dict):  # a map counts as an empty list
            continue
        if not isinstance(items, list) or any(isinstance(item, (bool, int, float)) for item in items):
            complaints.append(f"failed to fetch data from local file: {section}")
            sections[section] = before.get(section, {})
            continue
        held = sections[section] = {}
        for place, item in enumerate(items, 1):
            if reason := refusal(section, item, loaded):
                complaints.append(f"failed to check item data of [{section}/{place}]: {reason}")
            else:
                identity = str(item.get("id", item.get("username", f"arr_{place}")))
                held[identity] = item | {"id": identity}
    return sections, complaints


def refusal(section: str, item: object, loaded: frozenset[str] | None) -> str:
    """Return why an item of a file is dropped; nothing if it is taken."""
    if not isinstance(item, dict):
        return "it should be an object"
    if section == "routes" and not (isinstance(item.get("uri"), str) or isinstance(item.get("uris"), list)):
        return "neither uri nor uris"
    if "modifiedIndex" in item:
        return "additional properties forbidden, found modifiedIndex"
    if section not in ("consumers", "secrets") and "id" in item and not _ID.match(str(item["id"])):
        return 'property "id" validation failed'
    plugins = item.get("plugins", {})
    unknown = [name for name in plugins if loaded is not None and name not in loaded]
    return f"unknown plugin [{unknown[0]}]" if unknown else ""


def opened(item: dict[str, Any], keyring: tuple[str, ...]) -> dict[str, Any]:
    """Return a consumer from etcd with its key-auth key opened, which a file's never is."""
    auth = item.get("plugins", {}).get("key-auth")
    if not isinstance(auth, dict) or not isinstance(auth.get("key"), str):
        return item
    key = next(
        (text for secret in keyring if (text := _decrypted(auth["key"], secret.encode()))), auth["key"]
    )
    return item | {"plugins": item["plugins"] | {"key-auth": auth | {"key": key}}}


def _decrypted(text: str, key: bytes) -> str:
    """Return the plain text; nothing if *key* doesn't open it."""
    try:
        sealed = base64.b64decode(text, validate=True)
        decryptor = Cipher(AES(key), CBC(key[:16])).decryptor()
        padded = decryptor.update(sealed) + decryptor.finalize()
        unpadder = PKCS7(128).unpadder()
        return (unpadder.update(padded) + unpadder.finalize()).decode()
    except ValueError:
        return ""


def _substituted(value: Any, variables: Mapping[str, str]) -> Any:
    """Return a parsed value with the variables in its strings replaced; numbers and booleans become such."""
    if isinstance(value, dict):
        return {key: _substituted(one, variables) for key, one in value.items()}
    if isinstance(value, list):
        return [_substituted(one, variables) for one in value]
    if not isinstance(value, str) or not _VARIABLE.search(value):
        return value
    text = _VARIABLE.sub(lambda match: _value(match, variables), value)
    if text in ("true", "false"):
        return text == "true"
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else text


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    name, default = match.groups()
    found = variables.get(name, default)
    if found is None:
        raise Dies(f"failed to handle configuration: can't find environment variable {name}")
    return found


def _part(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = document.get(name, {})
    if not isinstance(part, dict):
        raise Dies(f"failed to merge, path[{name}] expect: table, but got: {type(part).__name__}")
    return part


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
