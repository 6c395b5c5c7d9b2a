"""What must be known of a gateway to write its file: prefix, keyring, plugins, version."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from replicator.apisix.encryption import EncryptFields
from replicator.apisix.keyring import KEY_BYTES
from replicator.errors import UsageError

DEFAULT_KEYRING: Final = (b"qeddd145sfvddff3", b"edd1c9f0985e76a2")
"""What APISIX itself uses when its configuration names no keyring: public, so it protects nothing."""

_OLDEST: Final = (3, 10)
_NEWEST: Final = (3, 18)
_JSON_SINCE: Final = (3, 13)
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:\.[0-9]{1,4})?")

_KEYRING_HINT: Final = "a list of keys of 16 or 32 bytes each; an empty list: data encryption is off"
_PLUGINS_HINT: Final = "a list of plugin names, or a mapping with plugins and stream_plugins"

Names = frozenset[str]


@dataclass(frozen=True)
class Options:
    """The gateway that is to read the file.

    Args:
        prefix: The prefix of APISIX's keys in etcd, without a slash at its end.
        keyring: `data_encryption.keyring`, 16 or 32 bytes a key, in its order; empty: encryption is off.
        plugins: The HTTP plugins that the gateway loads by its own configuration; None: not known.
        stream_plugins: The same for stream plugins.
        version: APISIX's version, 3.10 to 3.18.
        encrypt_fields: Which plugin fields are stored encrypted.

    Raises:
        UsageError: A key has another length, or the version is none that we know.
    """

    prefix: bytes = b"/apisix"
    keyring: tuple[bytes, ...] = field(default=DEFAULT_KEYRING, repr=False)
    plugins: Names | None = None
    stream_plugins: Names | None = None
    version: str = "3.18"
    encrypt_fields: EncryptFields = field(default_factory=EncryptFields.builtin, repr=False)
    release: tuple[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.prefix.endswith(b"/"):
            raise UsageError("The prefix of APISIX's keys ends with a slash.", hint="write /apisix, say")
        if any(len(key) not in KEY_BYTES for key in self.keyring):
            raise UsageError("A key of the keyring has neither 16 nor 32 bytes.", hint=_KEYRING_HINT)
        object.__setattr__(self, "release", _release(self.version))

    @property
    def substitutes_in_text(self) -> bool:
        """Whether the gateway replaces ``${{VAR}}`` in a YAML file's text, before it parses it."""
        return self.release >= (3, 17)

    @property
    def substitutes_keys_well(self) -> bool:
        """Whether the gateway, where it replaces ``${{VAR}}`` after parsing, renames map keys well."""
        return self.release >= (3, 18)

    @property
    def reads_credentials(self) -> bool:
        """Whether a file can hold credentials."""
        return self.release >= (3, 17)

    @property
    def reads_json(self) -> bool:
        """Whether the gateway knows `config_provider: json`."""
        return self.release >= _JSON_SINCE


def _release(version: str) -> tuple[int, int]:
    parts = _VERSION.fullmatch(version)
    release = (int(parts[1]), int(parts[2])) if parts else (0, 0)
    if not _OLDEST <= release <= _NEWEST:
        raise UsageError(f"No APISIX version that we know: {version[:20]!r}.", hint="3.10 to 3.18")
    return release


def keyring(document: Any) -> tuple[bytes, ...]:
    """Return the keyring that a file's decoded content gives; empty: data encryption is off.

    *document* is a list of keys, or APISIX's config.yaml, where `apisix.data_encryption` counts: its
    `keyring` is a list or one key (absent: `DEFAULT_KEYRING`), and `enable_encrypt_fields: false` (or
    `enable: false`) switches encryption off.

    Raises:
        UsageError: It has another shape. The message holds no key.
    """
    if isinstance(document, dict):
        section = _section(_section(document, "apisix"), "data_encryption", {})
        if False in (section.get("enable_encrypt_fields"), section.get("enable")):
            return ()
        document = section.get("keyring", [key.decode() for key in DEFAULT_KEYRING])
        document = [document] if isinstance(document, str) else document
    if not isinstance(document, list) or not all(isinstance(key, str) for key in document):
        raise UsageError("The keyring is no list of texts.", hint=_KEYRING_HINT)
    keys = tuple(key.encode("utf-8", "surrogatepass") for key in document)
    if any(len(key) not in KEY_BYTES for key in keys):
        raise UsageError("A key of the keyring has neither 16 nor 32 bytes.", hint=_KEYRING_HINT)
    return keys


def _section(document: dict[str, Any], name: str, default: Any = None) -> dict[str, Any]:
    section = document.get(name, default)
    if not isinstance(section, dict):
        raise UsageError(f"The keyring's file has no mapping {name!r}.", hint=_KEYRING_HINT)
    return section


def plugin_lists(document: Any) -> tuple[Names | None, Names | None]:
    """Return the HTTP and the stream plugins that a file's decoded content lists; None for a list not given.

    *document* is a list of HTTP plugin names, or a mapping with `plugins` and `stream_plugins`, of which
    one may be absent, as in APISIX's config.yaml.

    Raises:
        UsageError: It has another shape.
    """
    if isinstance(document, list):
        return _names(document), None
    if not isinstance(document, dict) or not document.keys() & {"plugins", "stream_plugins"}:
        raise UsageError("The plugin list is neither a list nor a mapping with one.", hint=_PLUGINS_HINT)
    http, stream = (
        _names(document[name]) if name in document else None for name in ("plugins", "stream_plugins")
    )
    return http, stream


def _names(names: Any) -> Names:
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise UsageError("The plugin list is no list of names.", hint=_PLUGINS_HINT)
    return frozenset(names)
