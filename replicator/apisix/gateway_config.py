"""The gateway's own config.yaml for the time of an outage: the same, turned to the standalone file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from replicator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARED: Final = (
    ("apisix", "data_encryption"),
    ("apisix", "router"),
    ("apisix", "proxy_mode"),
    ("apisix", "proxy_cache"),
    ("apisix", "delete_uri_tail_slash"),
    ("apisix", "normalize_uri_like_servlet"),
    ("apisix", "extra_lua_path"),
    ("apisix", "extra_lua_cpath"),
    ("nginx_config", "envs"),
    ("plugins",),
    ("stream_plugins",),
    ("plugin_attr",),
    ("wasm",),
    ("discovery",),
)
"""What a data plane must have like its control plane, or it reads the same resources in another way."""

_ROLES: Final = ("traditional", "control_plane", "data_plane")
_HINT: Final = "APISIX must be able to start with it: apisix test"


def standalone_config(own: bytes, shared: bytes | None, provider: Literal["yaml", "json"]) -> bytes:
    """Return the node's configuration *own*, turned to take its resources from the standalone file.

    All that isn't changed stays as it is written: comments, quotes, ``${{VARIABLES}}``, and scalars that
    other parsers would read in another way than APISIX's does.

    Args:
        own: The node's config.yaml.
        shared: The control plane's, whose `SHARED` settings replace the node's; None if nobody recorded it.
        provider: What reads the file: `config_provider`.

    Raises:
        UsageError: One of them is no configuration of APISIX. No message quotes it: it holds keys.
    """
    document = _document(own, "the gateway's config.yaml")
    deployment = _section(document, "deployment", "the gateway's config.yaml")
    role = deployment.get("role", "traditional")
    if role not in _ROLES:
        raise UsageError(
            "the gateway's config.yaml has a deployment.role that APISIX doesn't know",
            hint=f"one of {', '.join(_ROLES)}",
        )
    if shared is not None:
        _take_over(document, _document(shared, "the instance archive's config.yaml"))
    deployment["role"] = "data_plane"
    deployment["role_data_plane"] = {"config_provider": provider}
    text = io.BytesIO()
    _yaml().dump(document, text)
    return text.getvalue()


def check_config(own: bytes) -> None:
    """Raise what `standalone_config` would, before there is need of it.

    Raises:
        UsageError: *own* is no configuration of APISIX.
    """
    standalone_config(own, None, "yaml")


def _take_over(document: Any, shared: Mapping[str, Any]) -> None:
    for path in SHARED:
        *sections, name = path
        theirs: Any = shared
        for section in sections:
            theirs = theirs.get(section) if isinstance(theirs, dict) else None
        if not isinstance(theirs, dict) or name not in theirs:
            continue
        mine = document
        for section in sections:
            mine = _section(mine, section, "the gateway's config.yaml")
        mine[name] = theirs[name]


def _section(document: Any, name: str, what: str) -> Any:
    """Return the mapping *name* of *document*, made if there is none."""
    if document.get(name) is None:
        document[name] = {}
    section = document[name]
    if not isinstance(section, dict):
        raise UsageError(f"{what} has a {name} that is no mapping", hint=_HINT)
    return section


def _document(text: bytes, what: str) -> Any:
    try:
        document = _yaml().load(text)
    except (YAMLError, UnicodeDecodeError, ValueError, RecursionError):
        raise UsageError(f"{what} is no YAML", hint=_HINT) from None
    if document is None:  # APISIX's defaults hold
        document = _yaml().load(b"{}\n")
        document.fa.set_block_style()
    if not isinstance(document, dict):
        raise UsageError(f"{what} is no mapping", hint=_HINT)
    return document


def _yaml() -> YAML:
    yaml = YAML()  # keeps what it reads as it is written
    yaml.preserve_quotes = True
    yaml.width = 1 << 30
    yaml.allow_duplicate_keys = True
    return yaml
