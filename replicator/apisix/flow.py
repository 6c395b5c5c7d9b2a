"""Write one item on one line, as YAML in flow style or as JSON. No recursion, whatever the nesting."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Scalar: TypeAlias = "str | int | float | bool | None"
    Children: TypeAlias = Iterator[tuple[str, Any]]

LONGEST_KEY: Final = 1000  # libyaml takes 1024 characters at most for a key without an explicit ``?``

_YAML_WORDS = {None: "null", True: "true", False: "false"}


def yaml_number(number: float) -> str:
    """Return *number* in the fewest digits that a YAML parser with doubles reads as the same double."""
    if isinstance(number, int) or math.isfinite(number):
        return repr(number)
    return ".nan" if math.isnan(number) else ".inf" if number > 0 else "-.inf"


def json_number(number: float) -> str:
    """Return *number* as lua-cjson reads it; JSON itself has no infinity, but literals beyond doubles."""
    if isinstance(number, int) or math.isfinite(number):
        return repr(number)
    return "NaN" if math.isnan(number) else "1e400" if number > 0 else "-1e400"


class FlowWriter:
    """JSON's notation for nested values, with its own way to write strings and numbers.

    Args:
        string: Writes a string or a map key.
        number: Writes a number.
        marks_long_keys: A long key is written as YAML's ``? key``.
    """

    def __init__(
        self,
        string: Callable[[str], str],
        number: Callable[[float], str],
        *,
        marks_long_keys: bool,
    ) -> None:
        self._string = string
        self._number = number
        self._longest_key = LONGEST_KEY if marks_long_keys else math.inf

    def text(self, value: Any) -> str:
        """Return *value* on one line."""
        out: list[str] = []
        closers: list[str] = []
        pending: list[Children] = [iter([("", value)])]
        while pending:
            for lead, child in pending[-1]:
                out.append(lead)
                if isinstance(child, dict | list):
                    opener, closer, children = self._container(child)
                    out.append(opener)
                    closers.append(closer)
                    pending.append(children)
                    break
                out.append(self.scalar(child))
            else:
                pending.pop()
                out.append(closers.pop() if closers else "")
        return "".join(out)

    def scalar(self, value: Scalar) -> str:
        """Return a string, number, boolean or None as it is written."""
        if isinstance(value, str):
            return self._string(value)
        if value is None or isinstance(value, bool):
            return _YAML_WORDS[value]
        return self._number(value)

    def _container(self, value: dict[str, Any] | list[Any]) -> tuple[str, str, Children]:
        if isinstance(value, dict):
            return "{", "}", self._members(value)
        return "[", "]", (("," if index else "", child) for index, child in enumerate(value))

    def _members(self, value: dict[str, Any]) -> Children:
        comma = ""
        for name, child in value.items():
            key = self._string(name)
            yield f"{comma}? {key} :" if len(key) > self._longest_key else f"{comma}{key}:", child
            comma = ","
