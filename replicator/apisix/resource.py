"""Resources by the names that people give them: ``routes/1`` for the key ``/apisix/routes/1``."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final, NamedTuple

from replicator.apisix.judgement import SECTIONS
from replicator.apisix.report import shown
from replicator.errors import UsageError

PLUGIN_LIST: Final = "plugins"

TYPES: Final = (*SECTIONS, PLUGIN_LIST)
"""All types of resources: the directories below the prefix, and the list of plugins, which is one key."""

HEARTBEATS: Final = "data_plane"
"""The directory in which gateways tell that they are alive: no configuration."""

_BY_WORD: Final = {name.removesuffix("s"): name for name in TYPES} | {name: name for name in TYPES}


class Resource(NamedTuple):
    """A resource, or, without *id*, all of one type; *id* is the key behind the type's directory."""

    type: str
    id: str | None = None

    def __str__(self) -> str:
        return self.type if self.id is None else f"{self.type}/{self.id}"

    @property
    def is_one(self) -> bool:
        """Whether it is one resource."""
        return self.id is not None or self.type == PLUGIN_LIST

    def key(self, prefix: bytes) -> bytes:
        """Return its key below *prefix* (``/apisix``); for all of a type, what their keys begin with."""
        directory = prefix.rstrip(b"/") + b"/" + self.type.encode()
        if self.type == PLUGIN_LIST:
            return directory
        return directory + b"/" + (self.id or "").encode()


def parse_resource(text: str) -> Resource:
    """Return what *text* names: ``TYPE`` or ``TYPE/ID``, in the plural or the singular.

    Raises:
        UsageError: There is no such type.
    """
    word, slash, id_ = text.partition("/")
    name = _BY_WORD.get(word)
    if name is None:
        near = get_close_matches(word, _BY_WORD, 1)
        meant = f"is {_BY_WORD[near[0]]} meant? " if near else ""
        raise UsageError(
            f'"{text}" is no resource: there is no type {word or "without a name"}',
            hint=f"{meant}It is TYPE or TYPE/ID, as in routes/1; the types: {', '.join(sorted(TYPES))}",
        )
    if slash and (not id_ or name == PLUGIN_LIST):
        what = "plugins is one list" if name == PLUGIN_LIST else "the id is missing"
        raise UsageError(
            f'"{text}" is no resource: {what}', hint=f"say {name}" + ("" if id_ else " or TYPE/ID")
        )
    return Resource(name, id_ or None)


def parse_one(text: str) -> Resource:
    """Return the one resource that *text* names.

    Raises:
        UsageError: It names a type, or none.
    """
    resource = parse_resource(text)
    if not resource.is_one:
        raise UsageError(f'"{text}" is a type: which of them?', hint=f"say {resource.type}/ID")
    return resource


def name_of(key: bytes, prefix: bytes) -> str:
    """Return how people call *key*: ``routes/1``, or the whole key if it is no resource's; printable."""
    root = prefix.rstrip(b"/") + b"/"
    if key.startswith(root) and type_of(key, prefix) is not None:
        return shown(key[len(root) :])
    return shown(key)


def type_of(key: bytes, prefix: bytes) -> str | None:
    """Return of which type the resource at *key* is; None if it is no resource."""
    root = prefix.rstrip(b"/") + b"/"
    if not key.startswith(root):
        return None
    directory, slash, rest = key[len(root) :].partition(b"/")
    name = directory.decode("utf-8", "replace")
    if name == PLUGIN_LIST:
        return None if slash else name
    return name if name in SECTIONS and rest else None


def is_heartbeat(key: bytes, prefix: bytes) -> bool:
    """Tell whether *key* only tells that a gateway is alive."""
    return key.startswith(prefix.rstrip(b"/") + b"/" + HEARTBEATS.encode() + b"/")
