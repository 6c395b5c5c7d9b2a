"""The file's forms: YAML in flow or block style, and JSON. Each writes items, and then the whole file."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from replicator.apisix.block import BlockWriter
from replicator.apisix.cjson import MAX_DEPTH
from replicator.apisix.flow import LONGEST_KEY, FlowWriter, json_number, yaml_number
from replicator.apisix.judgement import Carrier
from replicator.apisix.texts import comment, guarded, json_string, yaml_string
from replicator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from replicator.apisix.adc import AdcConfiguration
    from replicator.apisix.options import Options

    Sections: TypeAlias = Mapping[str, Sequence[bytes]]

Format: TypeAlias = Literal["yaml", "json", "api"]
Style: TypeAlias = Literal["flow", "block"]

_BATCH: Final = 1000  # entries a chunk
_WINDOW: Final = LONGEST_KEY // 2
_LONG_NUMBER = re.compile(rb"[0-9.]{15}")


class Form(Protocol):
    """One form of the file. An entry is one item as it stands in it, without what parts it from others."""

    carrier: Carrier

    def entry(self, item: dict[str, Any]) -> bytes:
        """Return the entry of *item*, which the carrier can carry."""

    def plain_entry(self, text: bytes) -> bytes | None:
        """Return the entry of an item given as plain JSON text, if that takes no decoding; else None.

        See `replicator.apisix.plain` for what is plain.
        """

    def chunks(self, sections: Sections, comment_lines: Iterable[str]) -> Iterator[bytes]:
        """Yield the file: *sections* in their order, with their entries."""


def form_of(options: Options, format_: Format, style: Style) -> Form:
    """Return the form of a file for the gateway of *options*.

    Raises:
        UsageError: The gateway doesn't know the format.
    """
    if format_ == "json":
        if not options.reads_json:
            raise UsageError("APISIX reads a JSON file since 3.13 only.", hint="--format yaml")
        return JsonForm(template_keys=options.substitutes_keys_well)
    if format_ == "api":
        if not options.reads_json:
            raise UsageError("APISIX has an API for its whole configuration since 3.13 only.")
        return ApiForm()
    return (YamlBlockForm if style == "block" else YamlFlowForm)(raw_text=options.substitutes_in_text)


class YamlFlowForm:
    """YAML with one item a line.

    Args:
        raw_text: The gateway replaces variables in the raw text; else in each string after parsing.
    """

    def __init__(self, *, raw_text: bool) -> None:
        self.carrier = Carrier(yaml=True, template_keys=raw_text, depth=MAX_DEPTH)
        self._raw_text = raw_text
        self._writer = FlowWriter(
            yaml_string if raw_text else _guarded_yaml_string,
            yaml_number,
            marks_long_keys=True,
        )

    def entry(self, item: dict[str, Any]) -> bytes:
        """Return ``{...}``."""
        return self._writer.text(item).encode("ascii")

    def plain_entry(self, text: bytes) -> bytes | None:
        """Return *text* as an entry: what is plain JSON is flow style too, but for ``$`` and long keys."""
        if self._raw_text:
            text = text.replace(b"$", b"\\u0024")
        elif b"${{" in text:
            return None
        if len(text) > LONGEST_KEY and _may_have_long_key(text):
            return None
        return text

    def chunks(self, sections: Sections, comment_lines: Iterable[str]) -> Iterator[bytes]:
        """Yield comments, sections, and the mark that the file is whole."""
        for line in comment_lines:
            yield comment(line)
        for name, entries in sections.items():
            yield f"{name}:\n".encode() if entries else f"{name}: []\n".encode()
            for start in range(0, len(entries), _BATCH):
                yield b"- " + b"\n- ".join(entries[start : start + _BATCH]) + b"\n"
        yield b"#END\n" if sections else b"{}\n#END\n"


class YamlBlockForm(YamlFlowForm):
    """YAML for people to read. Reads back as the flow style does."""

    def __init__(self, *, raw_text: bool) -> None:
        super().__init__(raw_text=raw_text)
        self._block = BlockWriter(self._writer)

    def entry(self, item: dict[str, Any]) -> bytes:
        """Return the lines of an entry, which continue the line of its dash."""
        return self._block.text(item).encode("ascii")

    def plain_entry(self, text: bytes) -> bytes | None:  # noqa: ARG002
        """Return None: to be laid out, an item must be decoded."""
        return None


def adc_chunks(
    configuration: AdcConfiguration, style: Style, comment_lines: Iterable[str]
) -> Iterator[bytes]:
    """Yield ADC's file: YAML, in which every text is quoted, so that any parser takes it for one."""
    form = (YamlBlockForm if style == "block" else YamlFlowForm)(raw_text=True)
    for line in comment_lines:
        yield comment(line)
    for name, items in configuration.lists.items():
        if items:
            yield f"{name}:\n".encode()
            yield b"".join(b"- " + form.entry(item) + b"\n" for item in items)
    for name, item in configuration.maps.items():
        yield f"{name}:\n  ".encode() + YamlFlowForm(raw_text=True).entry(item) + b"\n"
    if not any((*configuration.lists.values(), *configuration.maps.values())):
        yield b"{}\n"


class JsonForm:
    """The file of `config_provider: json`: lua-cjson reads it as it reads etcd's values.

    So null, ``[]``, NUL, ``<<`` and bytes that are no UTF-8 survive. It has no comments and no end mark.

    Args:
        template_keys: The gateway, which replaces variables after parsing, does so in map keys without harm.
    """

    def __init__(self, *, template_keys: bool) -> None:
        # two levels are the file's own: the object of sections and the section's list
        self.carrier = Carrier(yaml=False, template_keys=template_keys, depth=MAX_DEPTH - 2)
        self._writer = FlowWriter(_guarded_json_string, json_number, marks_long_keys=False)

    def entry(self, item: dict[str, Any]) -> bytes:
        """Return the object on one line."""
        return self._writer.text(item).encode("utf-8", "surrogateescape")

    def plain_entry(self, text: bytes) -> bytes | None:
        """Return *text*, unless a variable might have to be guarded."""
        return None if b"${{" in text else text

    def chunks(self, sections: Sections, comment_lines: Iterable[str]) -> Iterator[bytes]:  # noqa: ARG002
        """Yield one object of sections. JSON has no place for *comment_lines*."""
        lead = "{"
        for name, entries in sections.items():
            yield f'{lead}"{name}":['.encode()
            for start in range(0, len(entries), _BATCH):
                yield (b",\n" if start else b"\n") + b",\n".join(entries[start : start + _BATCH])
            yield b"\n]"
            lead = ",\n"
        yield b"}\n" if sections else b"{}\n"


class ApiForm(JsonForm):
    """The body of ``PUT /apisix/admin/configs``: as `JsonForm`, but nobody replaces variables in it.

    The gateway writes it out once more, as lua-cjson writes numbers: with 14 digits, and no infinity.
    """

    def __init__(self) -> None:
        super().__init__(template_keys=True)
        self.carrier = replace(self.carrier, rewrites_numbers=True)
        self._writer = FlowWriter(json_string, json_number, marks_long_keys=False)

    def plain_entry(self, text: bytes) -> bytes | None:
        """Return *text*, unless it may hold a number of more than 14 digits."""
        return None if _LONG_NUMBER.search(text) else text


def _guarded_yaml_string(text: str) -> str:
    return yaml_string(guarded(text))


def _guarded_json_string(text: str) -> str:
    return json_string(guarded(text))


def _may_have_long_key(text: bytes) -> bool:
    r"""Tell whether plain JSON may have a map key longer than `LONGEST_KEY`.

    Where no ``\"`` is, no key has a quote inside, and one that long covers a whole window.
    """
    windows = range(0, len(text) - _WINDOW + 1, _WINDOW)
    return b'\\"' in text or not all(b'"' in text[start : start + _WINDOW] for start in windows)
