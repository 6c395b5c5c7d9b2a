"""A settings file as a tree of text that knows its lines.

A stricter YAML: a scalar is the text that stands there, and the setting's own type says how to read it, so
that `version: 3.10` keeps its zero and a password of digits its leading ones. Repeated keys, anchors,
aliases and tags are refused: here each is a password that wanted quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import yaml

from replicator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TypeAlias

_NOTHING: Final = frozenset({"", "~", "null", "Null", "NULL"})
_QUOTED: Final = re.compile(r""" '(?!<|\\.')[^']{2,}'| "[^"]{2,}\"""")


@dataclass(frozen=True, slots=True)
class Node:
    """A piece of the settings as it was written.

    Attributes:
        content: A text, a mapping, a sequence, or None where nothing stands. It may be a secret.
        place: Where it was written, as people look for it: ``replicator.yaml:12``.
    """

    content: Content = field(repr=False)
    place: str


Content: TypeAlias = "str | Mapping[str, Node] | Sequence[Node] | None"


class _Loader(yaml.SafeLoader):
    """Composes nodes without anchors, aliases and tags."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise yaml.composer.ComposerError(
                problem="this begins with one of YAML's own signs (& * !)", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)


def read(path: Path) -> Node:
    """Return the tree of the settings file at *path*; an empty file is an empty mapping.

    Raises:
        UsageError: There is no such file, or it is no YAML, or repeats a key.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 (at byte {error.start})", hint="save it as UTF-8") from None
    except OSError as error:
        raise UsageError(f"can't read {path}: {error.strerror}", hint="-c names the settings file") from None
    return parse(text, str(path))


def parse(text: str, name: str) -> Node:
    """Return the tree of *text*; *name* is the file's, for the places.

    Raises:
        UsageError: *text* is no YAML, or repeats a key.
    """
    try:
        root = _Loader(text).get_single_node()
        return _node(root, name, f"{name}:1") if root else Node({}, name)
    except yaml.MarkedYAMLError as error:
        raise _no_yaml(error, name) from None
    except yaml.YAMLError:
        raise UsageError(f"{name} holds characters that YAML doesn't allow") from None
    except RecursionError:
        raise UsageError(f"{name} is nested too deeply") from None


def _no_yaml(error: yaml.MarkedYAMLError, name: str) -> UsageError:
    place = f"{name}:{error.problem_mark.line + 1}" if error.problem_mark else name
    problem = error.problem or ""
    if error.context and error.context_mark:
        problem = f"{error.context} (line {error.context_mark.line + 1}), {problem}"
    # PyYAML quotes what it stumbled over, and that may be a password.
    return UsageError(
        f"{place}: not YAML: {_QUOTED.sub('', problem)}",
        hint="put text that holds YAML's own signs in quotes",
    )


def _node(node: yaml.Node, name: str, place: str) -> Node:
    if isinstance(node, yaml.MappingNode):
        return Node(_mapping(node, name), place)
    if isinstance(node, yaml.SequenceNode):
        return Node([_node(item, name, _place(item, name)) for item in node.value], place)
    return Node(None if _is_nothing(node) else node.value, place)


def _mapping(node: yaml.MappingNode, name: str) -> dict[str, Node]:
    content: dict[str, Node] = {}
    for key, value in node.value:
        place = _place(key, name)
        if not isinstance(key, yaml.ScalarNode):
            raise UsageError(f"{place}: a setting's name must be a text")
        if key.value in content:
            raise UsageError(
                f'{place}: "{key.value}" is given twice, first at {content[key.value].place}', hint="keep one"
            )
        content[key.value] = _node(value, name, place)
    return content


def _is_nothing(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value in _NOTHING


def _place(node: yaml.Node, name: str) -> str:
    return f"{name}:{node.start_mark.line + 1}"
