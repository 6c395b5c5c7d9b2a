"""Turn one stored value into an item of the file, or say why not: the rules, in their order.

The order of the steps is part of the rules: what sits in a stripped plugin no longer matters, and what
comes out of decryption is judged like stored text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from replicator.apisix import cjson
from replicator.apisix.encryption import decrypt_fields
from replicator.apisix.findings import look_through, numbers, told
from replicator.apisix.identity import Unfit, identified
from replicator.apisix.keyring import Opener
from replicator.apisix.report import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicator.apisix.encryption import EncryptFields, Paths
    from replicator.apisix.findings import Findings
    from replicator.apisix.keyring import Keyring
    from replicator.apisix.options import Names

SECTIONS: Final = (
    "upstreams",
    "ssls",
    "stream_routes",
    "plugin_metadata",
    "routes",
    "services",
    "consumers",
    "global_rules",
    "protos",
    "plugin_configs",
    "consumer_groups",
    "secrets",
)
"""The directories of items below the prefix, which are sections of the file, in the file's order."""

_BEARS_PLUGINS: Final = frozenset(
    {"routes", "services", "stream_routes", "consumers", "global_rules", "plugin_configs", "consumer_groups"},
)


@dataclass(frozen=True)
class Carrier:
    """What the file's format can carry.

    Args:
        yaml: It is YAML: no null, NUL, odd bytes or key ``<<``, and no mark that an empty array is one.
        template_keys: Map keys with ``${{`` in them survive.
        depth: The most levels of one item, itself counted.
        rewrites_numbers: The gateway writes it out once more, with 14 digits of a number, and no infinity.
    """

    yaml: bool
    template_keys: bool
    depth: int
    rewrites_numbers: bool = False


@dataclass(frozen=True)
class Gateway:
    """What a gateway does with an item that it reads from etcd.

    Args:
        plugins: The HTTP plugins that it loads; None: not known.
        stream_plugins: The same for stream routes.
        keyring: Empty: it decrypts nothing.
        fields: Which fields are stored encrypted.
        reads_credentials: Whether its file can hold credentials.
    """

    plugins: Names | None
    stream_plugins: Names | None
    keyring: Keyring
    fields: EncryptFields
    reads_credentials: bool

    def loaded(self, section: str) -> Names | None:
        """Return the plugins that it loads for items of *section*; None: not known."""
        return self.stream_plugins if section == "stream_routes" else self.plugins

    def loading(self, plugins: Names, stream_plugins: Names) -> Gateway:
        """Return the same gateway with other plugin lists."""
        return replace(self, plugins=plugins, stream_plugins=stream_plugins)

    def encrypted(self, section: str) -> Mapping[str, Paths]:
        """Return the paths of the fields that it decrypts in `plugins` of items of *section*."""
        if not self.keyring or section == "stream_routes":
            return {}
        return self.fields.in_consumers if section == "consumers" else self.fields.in_resources


@dataclass(frozen=True)
class Judged:
    """An item as a gateway holds it, and what is to be told of it.

    Args:
        item: The item with the id that it has in the file.
        whys: Why it is inexact; empty: it is exact.
        stripped: The plugins that were taken out of it, in their stored order.
        unopened: How many of its fields look encrypted, and no key opens them.
    """

    item: dict[str, Any] = field(repr=False)
    whys: tuple[str, ...]
    stripped: tuple[str, ...]
    unopened: int


def judge(section: str, suffix: str, value: bytes, gateway: Gateway) -> Judged:
    """Return what a gateway makes of *value*, stored at *suffix* of *section*; `carry` must follow.

    Raises:
        Unfit: It must not be put into the file.
    """
    item = _object(section, value)
    fits = item.get("id") == suffix
    item = identified(section, suffix, item, reads_credentials=gateway.reads_credentials)
    whys: tuple[str, ...] = ()
    stripped: tuple[str, ...] = ()
    opener = Opener(gateway.keyring)
    if section == "plugin_metadata":
        if fits:
            _decrypt_metadata(suffix, item, gateway, opener)
        else:
            whys = ("the stored id is missing or differs: only a file's metadata is checked and completed",)
    elif section in _BEARS_PLUGINS and isinstance(item.get("plugins"), dict):
        _check_plugins(item["plugins"])
        item["plugins"], stripped = _strip(item["plugins"], gateway.loaded(section))
        _decrypt_plugins(item["plugins"], gateway.encrypted(section), opener)
    return Judged(item, whys, stripped, opener.unopened)


def _object(section: str, value: bytes) -> dict[str, Any]:
    try:
        item = cjson.decode(value)
    except cjson.NotJson as error:
        raise Unfit(f"the value is no JSON for APISIX: {error}", held_by_gateway=False) from None
    if not isinstance(item, dict):
        held = section == "plugin_metadata" and isinstance(item, list)
        raise Unfit("the value is no JSON object", held_by_gateway=held)
    return item


def _check_plugins(plugins: dict[str, Any]) -> None:
    for name, configuration in plugins.items():
        if not isinstance(configuration, dict | list):
            raise Unfit(f"the configuration of plugin {shortened(name)} is no object", held_by_gateway=False)


def _strip(plugins: dict[str, Any], loaded: Names | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    if loaded is None or plugins.keys() <= loaded:
        return plugins, ()
    kept = {name: configuration for name, configuration in plugins.items() if name in loaded}
    return kept, tuple(name for name in plugins if name not in loaded)


def _decrypt_plugins(plugins: dict[str, Any], encrypted: Mapping[str, Paths], opener: Opener) -> None:
    for name in plugins.keys() & encrypted.keys():
        decrypt_fields(plugins[name], encrypted[name], opener)


def _decrypt_metadata(plugin: str, item: dict[str, Any], gateway: Gateway, opener: Opener) -> None:
    if gateway.keyring and (gateway.plugins is None or plugin in gateway.plugins):
        decrypt_fields(item, gateway.fields.in_metadata.get(plugin, ()), opener)


def carry(item: Any, section: str, carrier: Carrier) -> tuple[str, ...]:
    """Take out of *item*, in place, what the format can't carry but a gateway can do without.

    Returns:
        Why the item in the file is inexact, if it is.

    Raises:
        Unfit: The format can't carry the item.
    """
    found = look_through(
        item, has_plugins=section in _BEARS_PLUGINS, is_metadata=section == "plugin_metadata"
    )
    if found.depth > carrier.depth:
        raise Unfit(f"nested deeper than {carrier.depth} levels, a file's limit", held_by_gateway=True)
    whys = _carry_in_yaml(found) if carrier.yaml else []
    if found.has_template_key and not carrier.template_keys:
        raise Unfit("a map key has ${{ in it, which this gateway would replace", held_by_gateway=True)
    if carrier.rewrites_numbers:
        whys += _rewritten(item)
    return tuple(whys)


def _rewritten(item: Any) -> list[str]:
    long = []
    for number, path in numbers(item):
        if not math.isfinite(number):
            raise Unfit(f"no finite number at {told([path])}: the API can't carry it", held_by_gateway=True)
        if float(f"{number:.14g}") != number:
            long.append(path)
    return [f"more than 14 digits, which the gateway rounds to: {told(long)}"] if long else []


def _carry_in_yaml(found: Findings) -> list[str]:
    for null in found.nulls:
        if not null.droppable:
            raise Unfit(
                f"null at {told([null.path])}: YAML can't carry it", held_by_gateway=null.held_by_gateway
            )
    for null in found.nulls:
        del null.parent[null.name]
    if found.odd_text:
        raise Unfit(f"YAML can't carry {found.odd_text}", held_by_gateway=True)
    whys = []
    if found.nulls:
        whys.append(f"null left out: {told([null.path for null in found.nulls])}")
    if found.empty_arrays:
        whys.append(f"an empty array, which YAML can't tell from an empty object: {told(found.empty_arrays)}")
    return whys


def is_plugin_list(document: Any) -> bool:
    """Tell whether APISIX takes a decoded value for its list of plugins."""
    return isinstance(document, list) and all(_is_plugin_entry(entry) for entry in document)


def _is_plugin_entry(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    name = entry.get("name")
    return isinstance(name, str) and name != "" and isinstance(entry.get("stream", False), bool)
