"""Which fields of a resource are secrets, and a document without them.

Hidden are the fields that APISIX stores encrypted, private keys, and whatever has a name that secrets have:
what a plugin of one's own calls its password is one too. Rather too much is hidden than too little.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from replicator.apisix.encryption import EncryptFields

if TYPE_CHECKING:
    from replicator.apisix.encryption import Paths

HIDDEN: Final = "***"
"""What stands where a secret is."""

_NAMES: Final = re.compile(
    r"passw|passphrase|secret|token$|tokens$|private|credential|authorization|api_?key|access_?key"
    r"|client_key|auth_?key|^(?:ssl|tls)_key$|signing_key|jwt_key",
    re.IGNORECASE,
)
_OF_TYPES: Final[dict[str, Paths]] = {"ssls": (("key",), ("keys",))}


def hides(type_: str | None, path: tuple[str | int, ...]) -> bool:
    """Tell whether what a resource of *type_* has at *path* is a secret, or within one."""
    names = tuple(name for name in path if isinstance(name, str))
    if any(_NAMES.search(name) for name in names):
        return True
    return any(names[: len(secret)] == secret for secret in _secrets(type_, names))


def masked(type_: str | None, document: Any, path: tuple[str | int, ...] = ()) -> Any:
    """Return *document*, which a resource of *type_* has at *path*, with `HIDDEN` for each secret."""
    if path and hides(type_, path):
        return HIDDEN
    if isinstance(document, dict):
        return {name: masked(type_, value, (*path, name)) for name, value in document.items()}
    if isinstance(document, list):
        return [masked(type_, value, (*path, place)) for place, value in enumerate(document)]
    return document


def _secrets(type_: str | None, names: tuple[str, ...]) -> Paths:
    """Return the paths of secrets, of those that may be beginnings of *names*."""
    if type_ in _OF_TYPES:
        return _OF_TYPES[type_]
    if names[:1] != ("plugins",) or len(names) < 2:
        return ()
    table, plugin = EncryptFields.builtin(), names[1]
    paths = (*table.in_consumers.get(plugin, ()), *table.in_resources.get(plugin, ()))
    return tuple(("plugins", plugin, *path) for path in paths)
