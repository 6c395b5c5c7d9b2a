"""The settings' names: all that there are, and the nearest to one that there isn't."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from replicator.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NEAR: Final = 0.75


@dataclass(frozen=True, slots=True)
class Key:
    """One setting.

    Attributes:
        name: Its dotted name: ``etcd.endpoints``.
        kind: The type of its value, without None.
        default: What holds if it is left out; None where that is nothing.
        description: What it means.
    """

    name: str
    kind: Any
    default: object
    description: str

    @property
    def variable(self) -> str | None:
        """Name of the environment's variable that overrides it; None if it is no single text."""
        if get_origin(self.kind) is Mapping:
            return None
        return f"REPLICATOR_{self.name.replace('.', '_').upper()}"


@cache
def known() -> Mapping[str, Key]:
    """Return each setting by its dotted name, in the order of their definition."""
    return {key.name: key for key in _keys(Settings, "")}


def nearest(section: str, key: str, siblings: Iterable[str]) -> str | None:
    """Return the dotted name of the setting that somebody meant who wrote *key* in *section*, or None.

    One of its *siblings* (the names that the section does have), else one that lives elsewhere.
    """
    if near := get_close_matches(key, siblings, 1, _NEAR):
        return f"{section}.{near[0]}" if section else near[0]
    by_last_part = {name.rpartition(".")[2]: name for name in known()}
    if near := get_close_matches(key, by_last_part, 1, _NEAR):
        return by_last_part[near[0]]
    return next(iter(get_close_matches(f"{section}.{key}", known(), 1, _NEAR)), None)


def kind_of(setting: FieldInfo) -> Any:
    """Return the type of a section's field without its description and without None."""
    kind = get_args(setting.type)[0] if get_origin(setting.type) is Annotated else setting.type
    members = get_args(kind)
    return members[0] if type(None) in members else kind


def is_section(kind: Any) -> bool:
    """Return whether a value of type *kind* has settings of its own."""
    return isinstance(kind, type) and issubclass(kind, Struct)


def _keys(section: type[Struct], path: str) -> Iterator[Key]:
    for setting in fields(section):
        kind = kind_of(setting)
        if is_section(kind):
            yield from _keys(kind, f"{path}{setting.name}.")
        else:
            # A container as a default has a factory instead, and is empty.
            default = None if setting.default is NODEFAULT else setting.default
            yield Key(path + setting.name, kind, default, get_args(setting.type)[1])
