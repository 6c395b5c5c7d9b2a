r"""The short cut for most items: those that hold nothing which the forms of the file tell apart.

A gateway's routes by the hundred thousand are plain: strict JSON in printable ASCII without ``<`` (so no
key ``<<``) and without ``\u`` (so no NUL, no surrogate), with no null, no empty array, no integer that a
double can't hold, and few levels. lua-cjson, YAML's flow style and a strict JSON decoder read such a text
alike, and nothing in it is to be reported. All others take the long way by `replicator.apisix.judgement`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

if TYPE_CHECKING:
    from replicator.apisix.formats import Form
    from replicator.apisix.judgement import Gateway

_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_NEEDS_STORED_ID: Final = {
    b"routes": False, b"upstreams": False, b"ssls": False, b"protos": False,
    b"plugin_configs": True, b"global_rules": True, b"consumer_groups": True,
}  # fmt: skip
_LEVELS: Final = 8  # below an item


def _plain_type() -> Any:
    """Return the type of a plain item, which the decoder checks as it goes."""
    scalar = str | Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)] | float | bool
    value: Any = scalar
    for _ in range(_LEVELS):
        value = scalar | dict[str, value] | Annotated[list[value], msgspec.Meta(min_length=1)]
    return dict[str, value]


_decode = msgspec.json.Decoder(_plain_type()).decode
_encode = msgspec.json.Encoder().encode


class ShortCut:
    """Gives the entry of a plain item that needs nothing but its id.

    Args:
        gateway: Tells which plugins would be stripped or decrypted; items that have one are not for us.
        form: Writes the entry.
    """

    def __init__(self, gateway: Gateway, form: Form) -> None:
        self._form = form
        self._loaded = gateway.plugins
        self._encrypted = {
            plugin: {path[0] for path in paths} for plugin, paths in gateway.encrypted("routes").items()
        }

    def entry(self, section: bytes, suffix: bytes, value: bytes) -> bytes | None:
        """Return the entry for *value*, stored at *suffix* of *section*; None: take the long way."""
        needs_stored_id = _NEEDS_STORED_ID.get(section)
        if needs_stored_id is None or not _ID.fullmatch(suffix):
            return None
        item = _plain(value)
        if item is None:
            return None
        id_ = suffix.decode()
        if item.pop("id", None if needs_stored_id else id_) != id_:
            return None
        if "plugins" in item and not self._keeps(item["plugins"]):
            return None
        if value.startswith(b'{"id":"%b"' % suffix) and _is_one_line(value):
            return self._form.plain_entry(value)  # what is there need not be copied
        return self._form.plain_entry(_encode({"id": id_, **item}))

    def _keeps(self, plugins: Any) -> bool:
        """Tell whether all configurations are objects, none of them to be stripped or decrypted."""
        if type(plugins) is not dict or not (self._loaded is None or plugins.keys() <= self._loaded):
            return False
        for name, configuration in plugins.items():
            if type(configuration) is not dict:
                return False
            if name in self._encrypted and not self._encrypted[name].isdisjoint(configuration):
                return False
        return True


def plain_text(item: dict[str, Any]) -> bytes | None:
    """Return a decoded *item* as JSON if it is plain, else None."""
    try:
        text = _encode(item)
    except (msgspec.MsgspecError, UnicodeEncodeError, OverflowError, RecursionError):
        return None
    return text if b"${{" not in text and _plain(text) is not None else None


def _plain(text: bytes) -> dict[str, Any] | None:
    """Return the item that *text* holds if it is plain, else None."""
    if not text.isascii() or b"<" in text or b"\x7f" in text or (b"\\" in text and b"\\u" in text):
        return None
    try:
        item: dict[str, Any] = _decode(text)
    except msgspec.MsgspecError:
        return None
    return item


def _is_one_line(text: bytes) -> bool:
    return b"\n" not in text and b"\r" not in text and b"\t" not in text
