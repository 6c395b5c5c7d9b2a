"""What the environment says: ``REPLICATOR_ETCD_PREFIX`` stands above ``etcd.prefix`` of the file."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, get_origin

from replicator.config.document import Node
from replicator.config.keys import known
from replicator.config.reader import literal

if TYPE_CHECKING:
    from replicator.config.keys import Key

_NEAR: Final = 0.8


def override(root: Node, environ: Mapping[str, str]) -> Node:
    """Return *root* with the settings that *environ* holds in the place of its own.

    A list is written with commas. A variable is taken as it stands, without ``${}``; an empty one counts as
    not set.
    """
    for key in known().values():
        text = environ.get(key.variable, "") if key.variable else ""
        if text:
            root = _with(root, key.name.split("."), _node(key, text))
    return root


def suspects(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables that override nothing but look as if they should, each with the likely right name.

    Others that begin with ``REPLICATOR_`` are left alone: Kubernetes sets some for a service of that name.
    """
    variables = {
        key.variable.removeprefix("REPLICATOR_"): key.variable for key in known().values() if key.variable
    }
    found = {}
    for name in environ:
        rest = name.removeprefix("REPLICATOR_")
        if rest == name or rest in variables:
            continue
        if near := get_close_matches(rest, variables, 1, _NEAR):
            found[name] = variables[near[0]]
    return found


def _node(key: Key, text: str) -> Node:
    place = str(key.variable)
    if get_origin(key.kind) is tuple:
        return Node([Node(literal(item.strip()), place) for item in text.split(",")], place)
    return Node(literal(text), place)


def _with(node: Node, path: list[str], leaf: Node) -> Node:
    if not path:
        return leaf
    if not (node.content is None or isinstance(node.content, Mapping)):
        return node  # no section at all, which the reader will say better
    head, *rest = path
    content = dict(node.content or {})
    content[head] = _with(content.get(head, Node(None, leaf.place)), rest, leaf)
    return Node(content, node.place)
