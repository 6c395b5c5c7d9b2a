"""From a tree of text to settings: each text is read as its setting's type says.

An error names the place, the setting, and what is wrong with it. It shows what was written as far as that
can't be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args, get_origin

from msgspec import Struct
from msgspec.structs import fields

from replicator.config.keys import is_section, kind_of, nearest
from replicator.config.values import (
    ArchiveUrl,
    Bytes,
    Endpoint,
    HttpUrl,
    KeyPrefix,
    Listen,
    Secret,
    Share,
    parse_endpoint,
    parse_http_url,
    parse_key_prefix,
    parse_share,
)
from replicator.core.quantities import parse_duration, parse_size
from replicator.core.schedule import Schedule
from replicator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.config.document import Node

_S = TypeVar("_S", bound=Struct)
_REFERENCE: Final = re.compile(r"\$\$\{|\$\{([A-Za-z_]\w*)\}|\$\{", re.ASCII)


def _parse_bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise UsageError(f'"{text}" is neither true nor false')
    return text.lower() == "true"


_PARSERS: Final[Mapping[Any, Callable[[str], object]]] = {
    str: str,
    bool: _parse_bool,
    timedelta: parse_duration,
    Bytes: parse_size,
    Schedule: Schedule.parse,
    Secret: Secret,
    ArchiveUrl: ArchiveUrl.parse,
    Endpoint: parse_endpoint,
    HttpUrl: parse_http_url,
    KeyPrefix: parse_key_prefix,
    Listen: Listen.parse,
    Share: parse_share,
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads settings; ``${NAME}`` in a text stands for a variable of *environ*."""

    environ: Mapping[str, str]

    def section(self, node: Node, kind: type[_S], name: str = "") -> _S:
        """Return the settings that *node* holds; what it leaves out has its default.

        Raises:
            UsageError: A setting is unknown, ill-typed, or contradicts another.
        """
        content = {} if node.content is None else node.content
        if not isinstance(content, Mapping):
            raise _ill_typed(node, name, "a mapping (name: value)")
        known = {setting.name: kind_of(setting) for setting in fields(kind)}
        values = {}
        for key, child in content.items():
            path = f"{name}.{key}" if name else key
            if key not in known:
                raise _unknown(child, name, key, known)
            if child.content is not None:
                values[key] = self.value(child, known[key], path)
        with _located(node, name):
            return kind(**values)

    def value(self, node: Node, kind: Any, name: str) -> Any:
        """Return what *node* says, as a value of the type *kind*."""
        if is_section(kind):
            return self.section(node, kind, name)
        if get_origin(kind) is tuple:
            return tuple(self._items(node, get_args(kind)[0], name))
        if get_origin(kind) is Mapping:
            return dict(self._entries(node, get_args(kind)[1], name))
        if not isinstance(node.content, str):
            raise _ill_typed(node, name, "a text")
        with _located(node, name):
            if get_origin(kind) is Literal:
                return _one_of(get_args(kind), expand(node.content, self.environ))
            return _PARSERS[kind](expand(node.content, self.environ))

    def _items(self, node: Node, kind: Any, name: str) -> Iterator[object]:
        if not isinstance(node.content, Sequence) or isinstance(node.content, str):
            raise _ill_typed(node, name, "a list")
        for index, item in enumerate(node.content):
            yield self.value(item, kind, f"{name}[{index}]")

    def _entries(self, node: Node, kind: Any, name: str) -> Iterator[tuple[str, object]]:
        if not isinstance(node.content, Mapping):
            raise _ill_typed(node, name, "a mapping (name: value)")
        for key, child in node.content.items():
            yield key, self.value(child, kind, f"{name}.{key}")


def _one_of(choices: tuple[str, ...], text: str) -> str:
    if text not in choices:
        raise UsageError(f'"{text}" is none of {", ".join(choices)}')
    return text


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Return *text* with each ``${NAME}`` replaced by that variable, and each ``$${`` by ``${``.

    Raises:
        UsageError: A variable isn't set, or the braces hold no name.
    """
    return _REFERENCE.sub(lambda match: _expanded(match[0], match[1], environ), text)


def literal(text: str) -> str:
    """Return what `expand` turns into *text*."""
    return text.replace("${", "$${")


def _expanded(reference: str, variable: str | None, environ: Mapping[str, str]) -> str:
    if reference == "$${":
        return "${"
    if variable is None:
        raise UsageError("${...} doesn't hold the name of a variable", hint="write $${ for a literal ${")
    if variable not in environ:
        raise UsageError(
            f"the environment variable {variable} is not set",
            hint=f"set it, or write $${{{variable}}} for the literal text",
        )
    return environ[variable]


@contextmanager
def _located(node: Node, name: str) -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{_where(node, name)}: {error}", hint=error.hint) from None


def _where(node: Node, name: str) -> str:
    return f"{node.place}: {name}" if name else node.place


def _ill_typed(node: Node, name: str, expected: str) -> UsageError:
    given = "a text"
    if not isinstance(node.content, str):
        given = (
            "nothing"
            if node.content is None
            else "a mapping"
            if isinstance(node.content, Mapping)
            else "a list"
        )
    return UsageError(
        f"{_where(node, name)}: expected {expected}, not {given}", hint="docs/configuration.md shows each"
    )


def _unknown(node: Node, section: str, key: str, siblings: Mapping[str, Any]) -> UsageError:
    name = f"{section}.{key}" if section else key
    meant = nearest(section, key, siblings)
    hint = f"did you mean {meant}?" if meant else f"known here: {', '.join(siblings)}"
    return UsageError(f"{node.place}: unknown setting {name}", hint=hint)
