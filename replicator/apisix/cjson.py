"""Decode a stored value as OpenResty's lua-cjson does: what a gateway takes, and nothing else.

lua-cjson takes more than strict JSON: raw control characters in strings, bytes that are no UTF-8, a
leading ``+``, ``010`` (ten), ``0x1F``, ``1.``, ``Infinity`` and ``NaN``, repeated members (the last
wins). It stops at the first NUL byte. It reads an integer literal with C's ``strtoll``, which clamps to
64 bits, and every other number with ``strtod``. It refuses lone surrogates and more than 1000 levels.

Decoded values are dict, list, str, int, float, bool and None. Bytes of a string that are no UTF-8 stand
in it as lone surrogates (Python's ``surrogateescape``), so a string with a surrogate is one that was no
UTF-8. Integers lie within 64 bits.

Source: lua_cjson.c of openresty/lua-cjson.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import msgspec

MAX_DEPTH: Final = 1000
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

_SPACE = re.compile(rb"[ \t\n\r]*")
_STRING_STOP = re.compile(rb'["\\]')
_HEX4 = re.compile(rb"[0-9A-Fa-f]{4}")
_STRTOLL = re.compile(rb"[+-]?([0-9]+)")
_STRTOD = re.compile(
    rb"([+-]?)(?:"
    rb"(?P<hex>0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?)"
    rb"|(?P<decimal>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    rb"|(?P<infinity>[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)"
    rb"|(?P<nan>[nN][aA][nN](?:\([0-9A-Za-z_]*\))?))",
)
_NUMBER_START = frozenset(b"-+0123456789iInN")
_ESCAPES = {
    ord(name): char
    for name, char in {
        '"': b'"', "\\": b"\\", "/": b"/", "b": b"\b", "f": b"\f", "n": b"\n", "r": b"\r", "t": b"\t",
    }.items()
}  # fmt: skip
_LITERALS = ((b"true", True), (b"false", False), (b"null", None))
_CLOSERS: dict[type, int] = {dict: ord("}"), list: ord("]")}

_strict = msgspec.json.Decoder().decode
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_DIGITS = b"0" * 19  # from 19 digits on, an integer may lie beyond 64 bits


class NotJson(Exception):
    """lua-cjson refuses the value. The message says why, without any part of the value."""


def decode(value: bytes) -> Any:
    """Return what lua-cjson reads from *value*.

    Raises:
        NotJson: lua-cjson refuses it.
    """
    if not _strict_decoder_agrees(value):
        return decode_leniently(value)
    try:
        return _strict(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return decode_leniently(value)


def _strict_decoder_agrees(value: bytes) -> bool:
    """Tell whether what msgspec takes of *value* is what lua-cjson reads: no clamping, no depth limit."""
    few_levels = len(value) <= MAX_DEPTH or value.count(b"[") + value.count(b"{") <= MAX_DEPTH
    return few_levels and _LONG_DIGITS not in value.translate(_DIGITS_AS_ZERO)


def decode_leniently(value: bytes) -> Any:
    """Return what lua-cjson reads from *value*; the authority that `decode` takes a short cut to.

    Neither recursion nor quadratic time, whatever the value.

    Raises:
        NotJson: lua-cjson refuses it.
    """
    if len(value) > 1 and 0 in value[:2]:
        raise NotJson("looks like UTF-16 or UTF-32")
    return _Reader(value.partition(b"\0")[0]).document()


class _Reader:
    """A cursor over *text*, which holds no NUL."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = 0

    def document(self) -> Any:
        open_: list[
            tuple[Any, Any]
        ] = []  # containers under way, each with the member name that waits for a value
        while True:
            value = self._value_or_container(open_)
            while value is not _OPENED and open_:
                value = self._attach(open_, value)
            if value is not _OPENED:
                break
        if self._peek() is not None:
            raise self._error("something after the value")
        return value

    def _value_or_container(self, open_: list[tuple[Any, Any]]) -> Any:
        start = self._peek()
        if start not in (ord("{"), ord("[")):
            return self._scalar(start)
        if len(open_) == MAX_DEPTH:
            raise NotJson(f"nested deeper than {MAX_DEPTH} levels")
        self._at += 1
        container: Any = {} if start == ord("{") else []
        if self._peek() == _CLOSERS[type(container)]:
            self._at += 1
            return container
        open_.append((container, self._name() if start == ord("{") else None))
        return _OPENED

    def _attach(self, open_: list[tuple[Any, Any]], value: Any) -> Any:
        """Put *value* into the innermost container; return that when it ends here, else `_OPENED`."""
        container, name = open_.pop()
        if isinstance(container, dict):
            container[name] = value
        else:
            container.append(value)
        separator = self._peek()
        if separator == _CLOSERS[type(container)]:
            self._at += 1
            return container
        if separator != ord(","):
            raise self._error("no comma or end of the container")
        self._at += 1
        open_.append((container, self._name() if isinstance(container, dict) else None))
        return _OPENED

    def _peek(self) -> int | None:
        """Skip white space and return the next byte; None at the end."""
        self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr] # matches anything
        return self._text[self._at] if self._at < len(self._text) else None

    def _name(self) -> str:
        if self._peek() != ord('"'):
            raise self._error("no member name")
        name = self._string()
        if self._peek() != ord(":"):
            raise self._error("no colon")
        self._at += 1
        return name

    def _scalar(self, start: int | None) -> Any:
        if start is None:
            raise self._error("no value")
        if start == ord('"'):
            return self._string()
        for literal, value in _LITERALS:
            if self._text.startswith(literal, self._at):
                self._at += len(literal)
                return value
        if start in _NUMBER_START:
            return self._number()
        raise self._error("no value")

    def _string(self) -> str:
        parts = []
        at = self._at + 1
        while stop := _STRING_STOP.search(self._text, at):
            parts.append(self._text[at : stop.start()])
            self._at = stop.end()
            if stop[0] == b'"':
                return b"".join(parts).decode("utf-8", "surrogateescape")
            parts.append(self._escape())
            at = self._at
        raise self._error("a string without end")

    def _escape(self) -> bytes:
        letter = self._text[self._at : self._at + 1]
        self._at += 1
        if letter == b"u":
            return self._unicode_escape()
        if not letter or letter[0] not in _ESCAPES:
            raise self._error("an unknown escape")
        return _ESCAPES[letter[0]]

    def _unicode_escape(self) -> bytes:
        code = self._hex4()
        if 0xD800 <= code < 0xE000:
            if code >= 0xDC00 or not self._text.startswith(b"\\u", self._at):
                raise self._error("a lone surrogate")
            self._at += 2
            low = self._hex4()
            if not 0xDC00 <= low < 0xE000:
                raise self._error("a lone surrogate")
            code = 0x10000 + ((code & 0x3FF) << 10 | low & 0x3FF)
        return chr(code).encode()

    def _hex4(self) -> int:
        digits = _HEX4.match(self._text, self._at)
        if digits is None:
            raise self._error("a bad \\u escape")
        self._at = digits.end()
        return int(digits[0], 16)

    def _number(self) -> int | float:
        integer = _STRTOLL.match(self._text, self._at)
        if integer and self._text[integer.end() : integer.end() + 1] not in (b".", b"e", b"E", b"x"):
            self._at = integer.end()
            return _clamped(integer[0], integer[1])
        number = _STRTOD.match(self._text, self._at)
        if number is None:
            raise self._error("no number")
        self._at = number.end()
        size = _magnitude(number)
        return -size if number[1] == b"-" else size

    def _error(self, what: str) -> NotJson:
        return NotJson(f"{what} at byte {self._at}")


_OPENED: Final = object()  # stands for a container whose first or next value is still to be read


def _clamped(literal: bytes, digits: bytes) -> int:
    if len(digits) > 19:
        digits = digits.lstrip(b"0") or b"0"
    negative = literal.startswith(b"-")
    if len(digits) > 19:
        return INT64_MIN if negative else INT64_MAX
    return max(-int(digits), INT64_MIN) if negative else min(int(digits), INT64_MAX)


def _magnitude(number: re.Match[bytes]) -> float:
    if number["hex"]:
        try:
            return float.fromhex(number["hex"].decode())
        except OverflowError:
            return math.inf
    if number["decimal"]:
        return float(number["decimal"])
    return math.inf if number["infinity"] else math.nan
