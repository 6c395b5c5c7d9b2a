"""The short cut for most items: stored text that may go into the file as it is.

A gateway's routes by the hundred thousand hold nothing odd. Their values are strict JSON in printable
ASCII, which YAML's flow style reads as lua-cjson reads it. Such a text is moved, not decoded and encoded.
What is not provably of that kind is left to `replicator.apisix.judgement`; where the short cut is taken,
the file reads back the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from replicator.apisix.encryption import Paths
    from replicator.apisix.formats import Form
    from replicator.apisix.judgement import Gateway

_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_NEEDS_STORED_ID: Final = {
    b"routes": False, b"upstreams": False, b"ssls": False, b"protos": False,
    b"plugin_configs": True, b"global_rules": True, b"consumer_groups": True,
}  # fmt: skip

# A text's skeleton: brackets and quotes; each digit a 0; the letters of null; < for what is never plain.
# The rest goes, so that "[ ]" shows as "[]".
_BONES: Final = b'[]"-nul'
_SKELETON: Final = bytes(
    char if char in _BONES else ord("0") if ord("0") <= char <= ord("9") else ord("<") for char in range(256)
)
_FLESH: Final = bytes(set(range(0x20, 0x7F)) - set(_BONES + b"0123456789<"))
_OBJECT: Final = ord("{")
_LONG_DIGITS: Final = b"0" * 19  # from 19 digits on, lua-cjson may clamp an integer


class _Head(msgspec.Struct):
    """What of an item must be looked at. Of repeated members the last counts, as for every reader."""

    id: str
    plugins: dict[str, msgspec.Raw] = {}


_head = msgspec.json.Decoder(_Head).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class ShortCut:
    """Gives the entry of an item where its stored text allows it.

    Args:
        gateway: Tells which plugins would be stripped or decrypted; items that have one are not for us.
        form: Writes the entry.
    """

    def __init__(self, gateway: Gateway, form: Form) -> None:
        self._form = form
        self._most_brackets = form.carrier.depth
        self._loaded = gateway.plugins
        self._needles = {name: _needles(paths) for name, paths in gateway.encrypted("routes").items()}

    def stored(self, section: bytes, suffix: bytes, value: bytes) -> bytes | None:
        """Return the entry for *value*, stored at *suffix* of *section*; None: take the long way."""
        needs_stored_id = _NEEDS_STORED_ID.get(section)
        if needs_stored_id is None or not _ID.fullmatch(suffix) or not self._is_plain(value):
            return None
        try:
            text = self._with_id_first(suffix, value, needs_stored_id=needs_stored_id)
        except (msgspec.MsgspecError, RecursionError):
            return None
        return None if text is None else self._form.plain_entry(text)

    def _with_id_first(self, suffix: bytes, value: bytes, *, needs_stored_id: bool) -> bytes | None:
        """Return *value* with the id *suffix* as its first member; None if more than that is to be done."""
        start = b'{"id":"%b"' % suffix
        if value.startswith(start):
            head = _head(value)
            return value if head.id == suffix.decode() and self._keeps(head.plugins) else None
        members = _members(value)
        stored_id = members.pop("id", None)
        if needs_stored_id if stored_id is None else bytes(stored_id) != start[6:]:
            return None
        if "plugins" in members and not self._keeps(_members(members["plugins"])):
            return None
        return start + (b"," if members else b"") + _encode(members)[1:]

    def encoded(self, item: dict[str, Any]) -> bytes | None:
        """Return a decoded and judged *item* as plain JSON; None if it may hold what a format can't carry."""
        try:
            text = _encode(item)
        except (msgspec.MsgspecError, UnicodeEncodeError, OverflowError, RecursionError):
            return None
        return text if self._is_plain(text) and b"${{" not in text else None

    def _keeps(self, plugins: dict[str, msgspec.Raw]) -> bool:
        """Tell whether all are objects, and none would be stripped or have a field decrypted."""
        if self._loaded is not None and not plugins.keys() <= self._loaded:
            return False
        for name, raw in plugins.items():
            configuration = bytes(raw)
            if configuration[0] != _OBJECT:
                return False
            for needle in self._needles.get(name, ()):
                if needle in configuration:
                    return False
        return True

    def _is_plain(self, text: bytes) -> bool:
        r"""Tell whether *text*, if it is strict JSON, reads the same in YAML, and has nothing to report.

        It has printable ASCII and spaces only, no ``<`` (so no key ``<<``), no ``\u`` (so no NUL, no
        surrogate), no null, no empty array, no integer near the 64-bit range, and few enough levels.
        """
        bones = text.translate(_SKELETON, _FLESH)
        if b"<" in bones or b"[]" in bones or _LONG_DIGITS in bones or (b"null" in bones and b"null" in text):
            return False
        if len(text) > self._most_brackets and text.count(b"[") + text.count(b"{") > self._most_brackets:
            return False
        return b"\\" not in text or b"\\u" not in text


def _needles(paths: Paths) -> tuple[bytes, ...]:
    """Return texts of which a plain configuration has one if one of *paths* begins in it."""
    names = {path[0] for path in paths}
    return tuple(f'"{name}"'.encode() if _ID.fullmatch(name.encode()) else b"" for name in sorted(names))
