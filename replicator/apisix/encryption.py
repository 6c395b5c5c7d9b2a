"""Which plugin fields a gateway stores encrypted, and how they are found in a configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from replicator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Paths: TypeAlias = tuple[tuple[str, ...], ...]

_SHAPE_HINT: Final = 'as in {"key-auth": {"consumer_schema": ["key"]}}; fields are dotted paths'
_SCHEMA_HINT: Final = "save what the gateway's control API answers to GET /v1/schema"


class PluginFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The encrypted fields of one plugin: dotted paths, by the schema that a configuration obeys.

    An entry that is there, though empty, differs from none: a consumer's configuration obeys
    `consumer_schema` where the plugin has one, else `schema`.
    """

    schema: tuple[str, ...] | None = None
    consumer_schema: tuple[str, ...] | None = None
    metadata_schema: tuple[str, ...] | None = None


@dataclass(frozen=True)
class EncryptFields:
    """The table of encrypted fields: plugin name -> fields.

    `in_resources`, `in_consumers` and `in_metadata` give the split paths for a plugin's configuration in
    routes and the like, in consumers and credentials, and in its metadata; plugins without any are absent.
    """

    plugins: Mapping[str, PluginFields]
    in_resources: Mapping[str, Paths] = field(init=False, repr=False, compare=False)
    in_consumers: Mapping[str, Paths] = field(init=False, repr=False, compare=False)
    in_metadata: Mapping[str, Paths] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, fields_of in (
            ("in_resources", lambda plugin: plugin.schema),
            ("in_consumers", _consumer_fields),
            ("in_metadata", lambda plugin: plugin.metadata_schema),
        ):
            object.__setattr__(self, name, _paths(self.plugins, fields_of))

    @classmethod
    @cache
    def builtin(cls) -> EncryptFields:
        """Return APISIX 3.18's own table."""
        text = resources.files(__package__).joinpath("encrypt_fields.json").read_bytes()
        return cls(msgspec.json.decode(text, type=dict[str, PluginFields]))

    @classmethod
    def of(cls, settings: Any) -> EncryptFields:
        """Return the table that *settings* spell out: plugin -> schema -> list of dotted paths.

        Raises:
            UsageError: It has another shape.
        """
        try:
            return cls(msgspec.convert(settings, dict[str, PluginFields]))
        except msgspec.ValidationError as error:
            raise UsageError(
                f"The table of encrypted fields is ill-typed: {error}", hint=_SHAPE_HINT
            ) from None

    @classmethod
    def from_schema(cls, document: Any) -> EncryptFields:
        """Return the table that a gateway tells of itself: its control API's answer to ``/v1/schema``.

        Stream plugins don't matter: a gateway decrypts nothing in stream routes.

        Raises:
            UsageError: *document* has another shape.
        """
        try:
            schemas = msgspec.convert(document, _SchemaDocument)
        except msgspec.ValidationError as error:
            raise UsageError(f"No schema of a gateway: {error}", hint=_SCHEMA_HINT) from None
        return cls({name: plugin.fields() for name, plugin in schemas.plugins.items()})

    def extended(self, other: EncryptFields) -> EncryptFields:
        """Return this table with the plugins of *other* added; where both name one, *other*'s holds."""
        return EncryptFields({**self.plugins, **other.plugins})


class _Schema(msgspec.Struct):
    # an empty Lua table is written as {}
    encrypt_fields: tuple[str, ...] | dict[str, Any] = ()

    def paths(self) -> tuple[str, ...]:
        return self.encrypt_fields if isinstance(self.encrypt_fields, tuple) else ()


class _Schemas(msgspec.Struct):
    schema: _Schema | None = None
    consumer_schema: _Schema | None = None
    metadata_schema: _Schema | None = None

    def fields(self) -> PluginFields:
        schemas = (self.schema, self.consumer_schema, self.metadata_schema)
        return PluginFields(*(None if schema is None else schema.paths() for schema in schemas))


class _SchemaDocument(msgspec.Struct):
    plugins: dict[str, _Schemas]


def _consumer_fields(plugin: PluginFields) -> tuple[str, ...] | None:
    return plugin.schema if plugin.consumer_schema is None else plugin.consumer_schema


def _paths(
    plugins: Mapping[str, PluginFields],
    fields_of: Callable[[PluginFields], tuple[str, ...] | None],
) -> dict[str, Paths]:
    return {
        name: tuple(tuple(path.split(".")) for path in fields)
        for name, plugin in plugins.items()
        if (fields := fields_of(plugin))
    }


def decrypt_fields(configuration: Any, paths: Paths, decrypt: Callable[[str], str]) -> None:
    """Replace, in place, each string of *configuration* that *paths* lead to by what *decrypt* returns.

    A path runs through objects, and through the objects of an array. At its end a string, the strings of
    an array or the string members of an object are meant.
    """
    for *way, leaf in paths:
        parents = [configuration] if isinstance(configuration, dict) else []
        for name in way:
            parents = [child for parent in parents for child in _objects(parent.get(name))]
        for parent in parents:
            if leaf in parent:
                parent[leaf] = _decrypted(parent[leaf], decrypt)


def _objects(value: Any) -> list[dict[str, Any]]:
    candidates = value if isinstance(value, list) else [value]
    return [candidate for candidate in candidates if isinstance(candidate, dict)]


def _decrypted(value: Any, decrypt: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return decrypt(value)
    if isinstance(value, list):
        return [decrypt(item) if isinstance(item, str) else item for item in value]
    if isinstance(value, dict):
        return {name: decrypt(item) if isinstance(item, str) else item for name, item in value.items()}
    return value
