"""The gateway's own config.yaml for the time of an outage: the same, turned to the standalone file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from yaml.nodes import Node, ScalarNode, SequenceNode

from replicator.apisix.texts import yaml_string
from replicator.apisix.yaml_text import (
    NotEditable,
    Path,
    Piece,
    cut,
    digest,
    find,
    grafted,
    is_null,
    parse,
    piece,
)
from replicator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

Provider: TypeAlias = Literal["yaml", "json"]

SHARED: Final = (
    ("apisix", "data_encryption"),
    ("apisix", "router"),
    ("apisix", "proxy_mode"),
    ("apisix", "proxy_cache"),
    ("apisix", "delete_uri_tail_slash"),
    ("apisix", "normalize_uri_like_servlet"),
    ("apisix", "extra_lua_path"),
    ("apisix", "extra_lua_cpath"),
    ("plugins",),
    ("stream_plugins",),
    ("plugin_attr",),
    ("wasm",),
    ("discovery",),
)
"""What a data plane must have like its control plane, or it reads the same resources in another way."""

ENVIRONMENT: Final = ("nginx_config", "envs")
"""The variables that `$env://` may name: the node keeps its own, and gets the control plane's."""

_ROLES: Final = ("traditional", "control_plane", "data_plane")
_HINT: Final = "APISIX must be able to start with it: `apisix test`"
_OWN: Final = "the gateway's config.yaml"
_THEIRS: Final = "the control plane's config.yaml"


def standalone_config(own: bytes, shared: bytes | None, provider: Provider) -> bytes:
    """Return the node's configuration *own*, turned to take its resources from the standalone file.

    What isn't changed keeps its bytes: comments, quotes, ``${{VARIABLES}}``, numbers.

    Args:
        own: The node's config.yaml.
        shared: The control plane's, whose `SHARED` settings replace the node's; None if nobody recorded it.
        provider: What reads the file: `config_provider`.

    Raises:
        UsageError: One of them is no configuration of APISIX, or *own* takes its resources from a file
            already. No message quotes it: it holds keys.
    """
    try:
        text, root = _read(own)
        _check(root)
    except NotEditable as error:
        raise UsageError(f"{_OWN} can't be used: {error}", hint=_HINT) from None
    taken: list[tuple[Path, Piece]] = []
    if shared is not None:
        try:
            taken = list(_taken_over(root, *_read(shared)))
        except NotEditable as error:
            raise UsageError(f"{_THEIRS} can't be used: {error}", hint=_HINT) from None
    turns = [
        (("deployment", "role"), piece("role", "data_plane")),
        (("deployment", "role_data_plane", "config_provider"), piece("config_provider", provider)),
    ]
    try:
        return grafted(text, taken + turns).encode()
    except NotEditable as error:
        raise UsageError(f"{_OWN} can't be turned to a file: {error}", hint=_HINT) from None


def is_standalone(own: bytes) -> bool:
    """Tell whether *own* makes a gateway take its resources from a file, or leaves etcd by another way.

    Raises:
        UsageError: It is no configuration of APISIX.
    """
    try:
        return _provider(_read(own)[1]) not in ("", "etcd")
    except NotEditable as error:
        raise UsageError(f"{_OWN} can't be used: {error}", hint=_HINT) from None


def _read(body: bytes) -> tuple[str, Node | None]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise NotEditable("it is no UTF-8") from None
    return text, parse(text)


def _check(root: Node | None) -> None:
    role = _scalar(root, ("deployment", "role"), "traditional")
    if role not in _ROLES and "${{" not in role:
        raise NotEditable(f"its deployment.role is none of {', '.join(_ROLES)}")
    if _provider(root) not in ("", "etcd"):
        raise NotEditable("it takes its resources from a file already: put back the one that names etcd")


def _provider(root: Node | None) -> str:
    """Return what gives this role its configuration; empty if that isn't said."""
    role = _scalar(root, ("deployment", "role"), "traditional")
    return _scalar(root, ("deployment", f"role_{role}", "config_provider"), "")


def _scalar(root: Node | None, path: Path, default: str) -> str:
    entry = find(root, path)
    if entry is None or is_null(entry[1]):
        return default
    if not isinstance(entry[1], ScalarNode):
        raise NotEditable(f"its {'.'.join(path)} is no text")
    return str(entry[1].value)


def _taken_over(root: Node | None, text: str, theirs: Node | None) -> Iterator[tuple[Path, Piece]]:
    """Yield what the node must have of *theirs*, and has in another way or not at all."""
    for path in SHARED:
        entry, mine = find(theirs, path), find(root, path)
        if entry is None or is_null(entry[1]):  # APISIX's default holds there, and the node's word here
            continue
        if mine is None or digest(mine[1]) != digest(entry[1]):
            yield path, cut(text, entry)
    names, mine_too = _names(theirs), _names(root)
    if more := [name for name in names if name not in mine_too]:
        values = ", ".join(yaml_string(name) for name in [*mine_too, *more])
        yield ENVIRONMENT, piece(ENVIRONMENT[-1], f"[{values}]")


def _names(root: Node | None) -> list[str]:
    entry = find(root, ENVIRONMENT)
    if entry is None or not isinstance(entry[1], SequenceNode):
        return []
    return [str(name.value) for name in entry[1].value if isinstance(name, ScalarNode)]
