"""What the file leaves out or can't say exactly: the lists that a user reads after a restore.

Every key of the state is in exactly one of `Report.refused`, `Report.ignored` and the file; what is
inexact or stripped is in the file. Nothing here holds a part of a value, only keys and member names.
"""

from __future__ import annotations

import base64
from typing import Final

import msgspec

_BASE64_MARK: Final = "base64:"
_NAME_LENGTH: Final = 60  # characters of a member name that a reason shows


class Refusal(msgspec.Struct, frozen=True):
    """A key that holds configuration which must not be put into the file.

    `held_by_gateway` tells whether a gateway that reads etcd holds the item all the same: then the file
    loses it, which is worth an alarm. If not, the gateway refuses it too, and nothing is lost.
    """

    key: str
    reason: str
    held_by_gateway: bool


class Inexact(msgspec.Struct, frozen=True):
    """An item that is in the file although a gateway that reads the file holds it a little differently."""

    key: str
    why: str


class Stripped(msgspec.Struct, frozen=True):
    """An item that is in the file without these plugins, which the gateway doesn't load."""

    key: str
    plugins: tuple[str, ...]


class Report(msgspec.Struct, frozen=True):
    """All that was left out or altered, each list in the order of the keys.

    `unopened` names items in the file that have a field which looks encrypted, and no key opens it. It may
    be a plain secret that only looks so.
    """

    refused: tuple[Refusal, ...] = ()
    ignored: tuple[str, ...] = ()
    inexact: tuple[Inexact, ...] = ()
    stripped: tuple[Stripped, ...] = ()
    unopened: tuple[str, ...] = ()


def shown(raw: bytes) -> str:
    """Return *raw* as text: itself, or ``base64:`` and its base64.

    The latter for what is no UTF-8, and for what itself begins with ``base64:``, so that no two keys
    look alike.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = _BASE64_MARK
    return _BASE64_MARK + base64.b64encode(raw).decode() if text.startswith(_BASE64_MARK) else text


def shown_name(name: str) -> str:
    """Return a decoded member or plugin name as valid text; `shown` tells how."""
    return shown(name.encode("utf-8", "surrogateescape"))


def shortened(name: str) -> str:
    """Return a member or plugin name as a reason quotes it: printable, cut if it is very long."""
    text = shown_name(name)
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= _NAME_LENGTH else text[:_NAME_LENGTH] + "…"
