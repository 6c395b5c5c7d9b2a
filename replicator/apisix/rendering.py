"""The state of one moment as APISIX's standalone file."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

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
        """How many items each section of the file has; sections without any are left out."""
        return {name: len(entries) for name, entries in self._sections.items()}

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
        format_: ``yaml``, or ``json`` for `config_provider: json`.
        style: How YAML is laid out: ``flow``, an item a line, or ``block``, for people to read.

    Raises:
        UsageError: The gateway doesn't know the format.
    """
    state = sorted(items, key=itemgetter(0))
    builder = _Builder(options, form_of(options, format_, style))
    plugins_key = options.prefix + b"/plugins"
    for key, value in state:
        if key == plugins_key:  # it decides about items that sort before it
            builder.take_plugin_list(key, value)
    builder.take_items((key, value) for key, value in state if key != plugins_key)
    return builder.rendering()


class _Builder:
    """The sections and lists of a file under construction."""

    def __init__(self, options: Options, form: Form) -> None:
        self._form = form
        self._prefix = options.prefix + b"/"
        self._gateway = Gateway(
            options.plugins,
            options.stream_plugins,
            Keyring(options.keyring),
            options.encrypt_fields,
            options.reads_credentials,
        )
        self._plugin_list: list[bytes] | None = None
        self._sections: dict[str, list[bytes]] = {name: [] for name in SECTIONS}
        self._refused: list[tuple[bytes, Unfit]] = []
        self._ignored: list[bytes] = []
        self._whys: dict[bytes, tuple[str, ...]] = {}
        self._stripped: list[tuple[bytes, tuple[str, ...]]] = []
        self._unopened: list[bytes] = []
        self._services_with_plugins: dict[str, bytes] = {}
        self._services_of_streams: set[str] = set()

    def take_plugin_list(self, key: bytes, value: bytes) -> None:
        """Take the value of ``<prefix>/plugins``: a section, and the lists that hold for all items."""
        try:
            entries = _plugin_entries(value, self._form.carrier)
        except Unfit as error:
            self._refused.append((key, error))
            return
        self._plugin_list = [self._form.entry(entry) for entry in entries]
        self._gateway = self._gateway.loading(
            frozenset(entry["name"] for entry in entries if not entry.get("stream")),
            frozenset(entry["name"] for entry in entries if entry.get("stream")),
        )

    def take_items(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Take every key but the plugin list's, in the order of the keys."""
        short_cut = ShortCut(self._gateway, self._form)
        prefix = self._prefix
        for key, value in items:
            directory, _, suffix = key[len(prefix) :].partition(b"/")
            if not suffix or directory not in _DIRECTORIES or not key.startswith(prefix):
                self._ignored.append(key)
            elif entry := short_cut.entry(directory, suffix, value):
                self._sections[_DIRECTORIES[directory]].append(entry)
            else:
                self._take_odd_item(
                    key, _DIRECTORIES[directory], suffix.decode("utf-8", "surrogateescape"), value
                )

    def _take_odd_item(self, key: bytes, section: str, suffix: str, value: bytes) -> None:
        try:
            judged = judge(section, suffix, value, self._gateway)
            plain = plain_text(judged.item)
            whys = judged.whys if plain else judged.whys + carry(judged.item, section, self._form.carrier)
        except Unfit as error:
            self._refused.append((key, error))
            return
        entry = self._form.plain_entry(plain) if plain else None
        self._sections[section].append(entry or self._form.entry(judged.item))
        if whys:
            self._whys[key] = whys
        if judged.stripped:
            self._stripped.append((key, judged.stripped))
        if judged.unopened:
            self._unopened.append(key)
        self._note_service_use(key, section, suffix, judged)

    def _note_service_use(self, key: bytes, section: str, suffix: str, judged: Judged) -> None:
        if section == "services" and judged.item.get("plugins"):
            self._services_with_plugins[suffix] = key
        elif section == "stream_routes" and "service_id" in judged.item:
            self._services_of_streams.add(_id_text(judged.item["service_id"]))

    def rendering(self) -> Rendering:
        """Return the file, and its report in the order of the keys."""
        for service in self._services_with_plugins.keys() & self._services_of_streams:
            key = self._services_with_plugins[service]
            self._whys[key] = (
                *self._whys.get(key, ()),
                "it has plugins and a stream route uses it, which a file's stream workers refuse",
            )
        sections = {name: entries for name, entries in self._sections.items() if entries}
        if self._plugin_list is not None:
            sections = {"plugins": self._plugin_list} | sections
        return Rendering(self._report(), self._form, sections)

    def _report(self) -> Report:
        refused = sorted(self._refused, key=itemgetter(0))
        return Report(
            tuple(Refusal(shown(key), str(error), error.held_by_gateway) for key, error in refused),
            tuple(shown(key) for key in self._ignored),
            tuple(Inexact(shown(key), "; ".join(whys)) for key, whys in sorted(self._whys.items())),
            tuple(Stripped(shown(key), tuple(map(shown_name, names))) for key, names in self._stripped),
            tuple(map(shown, self._unopened)),
        )


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
