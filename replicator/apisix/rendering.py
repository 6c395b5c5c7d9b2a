"""The state of one moment as APISIX's standalone file; and of the next one, from what has changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from replicator.apisix import cjson
from replicator.apisix.formats import form_of
from replicator.apisix.identity import Unfit
from replicator.apisix.judgement import SECTIONS, Gateway, carry, is_plugin_list, judge
from replicator.apisix.keyring import Keyring
from replicator.apisix.plain import ShortCut, plain_text
from replicator.apisix.report import Inexact, Refusal, Report, Stripped, shown, shown_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replicator.apisix.formats import Form, Format, Style
    from replicator.apisix.judgement import Carrier, Judged
    from replicator.apisix.options import Options

_PLUGINS = "plugins"
_DIRECTORIES = {name.encode(): name for name in SECTIONS}


@dataclass(frozen=True)
class Rendering:
    """A file that is ready to be written, and what is to be told of it.

    `report` says what the file leaves out or holds inexactly.
    """

    report: Report
    _form: Form = field(repr=False)
    _sections: dict[str, list[bytes]] = field(repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """How many items the file has of each type that it has any of; the plugin list isn't counted."""
        return {name: len(entries) for name, entries in self._sections.items() if name != _PLUGINS}

    def chunks(self, comment_lines: Iterable[str] = ()) -> Iterator[bytes]:
        """Yield the file's bytes; every call gives it anew.

        YAML begins with *comment_lines*, any text, escaped where need be, and ends with ``#END``. JSON has
        no comments.
        """
        return self._form.chunks(self._sections, comment_lines)


def render(
    items: Iterable[tuple[bytes, bytes]],
    options: Options,
    format_: Format = "yaml",
    style: Style = "flow",
) -> Rendering:
    """Return the standalone file for the key/values of one moment.

    Args:
        items: Keys and values as in etcd, no key twice.
        options: The gateway that is to read the file.
        format_: ``yaml``; ``json`` for `config_provider: json`; ``api`` for the body of
            ``PUT /apisix/admin/configs``.
        style: How YAML is laid out: ``flow``, an item a line, or ``block``, for people to read.

    Raises:
        UsageError: The gateway doesn't know the format.
    """
    renderer = Renderer(options, format_, style)
    renderer.update(items)
    return renderer.rendering()


class Renderer:
    """Renders a state that changes, at the price of what has changed; begins with the empty one.

    Its file is, byte for byte, what `render` makes of the same state, whatever was before.

    Args:
        options: The gateway that is to read the file.
        format_: As for `render`.
        style: As for `render`.

    Raises:
        UsageError: The gateway doesn't know the format.
    """

    def __init__(self, options: Options, format_: Format = "yaml", style: Style = "flow") -> None:
        self._form = form_of(options, format_, style)
        self._prefix = options.prefix + b"/"
        self._plugins_key = options.prefix + b"/plugins"
        self._own = Gateway(
            options.plugins,
            options.stream_plugins,
            Keyring(options.keyring),
            options.encrypt_fields,
            options.reads_credentials,
        )
        self._values: dict[bytes, bytes] = {}
        self._use(self._own)
        self._plugin_list: list[bytes] | None = None

    def _use(self, gateway: Gateway) -> None:
        """Judge by *gateway* from now on; no key is judged yet."""
        self._gateway = gateway
        self._short_cut = ShortCut(gateway, self._form)
        self._entries: dict[bytes, dict[bytes, bytes]] = {directory: {} for directory in _DIRECTORIES}
        self._sorted: dict[bytes, list[bytes]] = {}
        self._ignored: dict[bytes, None] = {}
        self._refused: dict[bytes, Unfit] = {}
        self._whys: dict[bytes, tuple[str, ...]] = {}
        self._stripped: dict[bytes, tuple[str, ...]] = {}
        self._unopened: dict[bytes, None] = {}
        self._services_with_plugins: dict[bytes, str] = {}
        self._services_of_streams: dict[bytes, str] = {}
        self._by_key: tuple[dict[bytes, Any], ...] = (
            self._ignored,
            self._refused,
            self._whys,
            self._stripped,
            self._unopened,
            self._services_with_plugins,
            self._services_of_streams,
        )

    def update(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take up *changes*: keys with the values that they have now, None for those that are gone.

        Of a key that is named twice the last value counts.
        """
        held, new = self._values, dict(changes)
        plugins = held.get(self._plugins_key)
        if held:
            new = {key: value for key, value in new.items() if held.get(key) != value}
            for key in new.keys() & held.keys():
                del held[key]
                self._forget(key)
        for key in [key for key, value in new.items() if value is None]:
            del new[key]
        there = cast("dict[bytes, bytes]", new)
        held.update(there)
        if held.get(self._plugins_key) != plugins:  # it decides about all others
            self._take_plugin_list()
            there = {**held}
        there.pop(self._plugins_key, None)
        self._take_items(there)

    def reset(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Take up a whole state: what it doesn't hold is gone."""
        state = dict(items)
        self.update([(key, None) for key in self._values.keys() - state.keys()])
        self.update(state.items())

    def rendering(self) -> Rendering:
        """Return the file of the state as it is now, and its report in the order of the keys."""
        sections = {
            name: self._in_order(directory)
            for directory, name in _DIRECTORIES.items()
            if self._entries[directory]
        }
        if self._plugin_list is not None:
            sections = {_PLUGINS: self._plugin_list} | sections
        return Rendering(self._report(), self._form, sections)

    def _in_order(self, directory: bytes) -> list[bytes]:
        """Return the entries of *directory* in the order of their keys, in a list that stays as it is."""
        if directory not in self._sorted:
            entries = self._entries[directory]
            self._sorted[directory] = [entries[key] for key in sorted(entries)]
        return self._sorted[directory]

    def _take_plugin_list(self) -> None:
        """Take the value of ``<prefix>/plugins``: a section, and the lists that hold for all items."""
        self._plugin_list = None
        value = self._values.get(self._plugins_key)
        if value is None:
            self._use(self._own)
            return
        try:
            entries = _plugin_entries(value, self._form.carrier)
        except Unfit as error:
            self._use(self._own)
            self._refused[self._plugins_key] = error
            return
        self._plugin_list = [self._form.entry(entry) for entry in entries]
        self._use(
            self._own.loading(
                frozenset(entry["name"] for entry in entries if not entry.get("stream")),
                frozenset(entry["name"] for entry in entries if entry.get("stream")),
            )
        )

    def _take_items(self, items: dict[bytes, bytes]) -> None:
        """Judge every one of *items*."""
        prefix, start, entry_of, touched = self._prefix, len(self._prefix), self._short_cut.entry, set()
        for key, value in items.items():
            directory, _, suffix = key[start:].partition(b"/")
            if not suffix or directory not in _DIRECTORIES or not key.startswith(prefix):
                self._ignored[key] = None
                continue
            touched.add(directory)
            if entry := entry_of(directory, suffix, value):
                self._entries[directory][key] = entry
            else:
                self._take_odd_item(key, directory, suffix.decode("utf-8", "surrogateescape"), value)
        for directory in touched:
            self._sorted.pop(directory, None)

    def _take_odd_item(self, key: bytes, directory: bytes, suffix: str, value: bytes) -> None:
        section = _DIRECTORIES[directory]
        try:
            judged = judge(section, suffix, value, self._gateway)
            plain = plain_text(judged.item)
            entry = self._form.plain_entry(plain) if plain else None
            whys = judged.whys if entry else judged.whys + carry(judged.item, section, self._form.carrier)
        except Unfit as error:
            self._refused[key] = error
            return
        self._entries[directory][key] = entry or self._form.entry(judged.item)
        if whys:
            self._whys[key] = whys
        if judged.stripped:
            self._stripped[key] = judged.stripped
        if judged.unopened:
            self._unopened[key] = None
        self._note_service_use(key, section, suffix, judged)

    def _note_service_use(self, key: bytes, section: str, suffix: str, judged: Judged) -> None:
        if section == "services" and judged.item.get("plugins"):
            self._services_with_plugins[key] = suffix
        elif section == "stream_routes" and "service_id" in judged.item:
            self._services_of_streams[key] = _id_text(judged.item["service_id"])

    def _forget(self, key: bytes) -> None:
        """Take back all that was found about *key*."""
        directory = key[len(self._prefix) :].partition(b"/")[0]
        if self._entries.get(directory, {}).pop(key, None) is not None:
            self._sorted.pop(directory, None)
        for found in self._by_key:
            found.pop(key, None)

    def _report(self) -> Report:
        whys = self._whys | self._of_services_on_streams()
        return Report(
            tuple(
                Refusal(shown(key), str(error), error.held_by_gateway)
                for key, error in sorted(self._refused.items())
            ),
            tuple(map(shown, sorted(self._ignored))),
            tuple(Inexact(shown(key), "; ".join(why)) for key, why in sorted(whys.items())),
            tuple(
                Stripped(shown(key), tuple(map(shown_name, names)))
                for key, names in sorted(self._stripped.items())
            ),
            tuple(map(shown, sorted(self._unopened))),
        )

    def _of_services_on_streams(self) -> dict[bytes, tuple[str, ...]]:
        """Return all whys of services that stream workers refuse: what no item tells by itself."""
        used = set(self._services_of_streams.values())
        return {
            key: (
                *self._whys.get(key, ()),
                "it has plugins and a stream route uses it, which a file's stream workers refuse",
            )
            for key, suffix in self._services_with_plugins.items()
            if suffix in used
        }


def _plugin_entries(value: bytes, carrier: Carrier) -> list[dict[str, Any]]:
    try:
        document = cjson.decode(value)
    except cjson.NotJson as error:
        raise Unfit(f"the value is no JSON for APISIX: {error}", held_by_gateway=False) from None
    if not is_plugin_list(document):
        raise Unfit("the value is no valid plugin list", held_by_gateway=False)
    try:
        carry(document, "plugins", carrier)
    except Unfit as error:
        raise Unfit(str(error), held_by_gateway=True) from None
    return document  # type: ignore[no-any-return] # is_plugin_list has looked


def _id_text(value: Any) -> str:
    """Return an id as Lua's tostring gives it, which is how APISIX looks it up."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.14g}"
    return value if isinstance(value, str) else ""
