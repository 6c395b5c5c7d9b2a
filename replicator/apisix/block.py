"""Write one item as YAML in block style, for people to read.

It reads back as the flow style does. Strings stand in double quotes, or as a literal block where every
character is one that a literal block keeps; what is nested very deep, or has a very long key, goes on in
flow style, as indentation would grow beyond bounds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from replicator.apisix.flow import LONGEST_KEY

if TYPE_CHECKING:
    from replicator.apisix.flow import FlowWriter

_DEEPEST: Final = 20  # levels in block style
_INDENT: Final = "  "

# A letter first, so no number in any notation; the rest are the words that lyaml takes for other types.
_PLAIN_KEY = re.compile(r"(?!(?i:true|false|yes|no|on|off|null)\Z)[A-Za-z][A-Za-z0-9_-]{0,63}")

_NOT_LITERAL = re.compile(r"[^ -~\n]")


class BlockWriter:
    """Block style over a *flow* writer, which writes strings, numbers and what is nested too deep.

    Args:
        flow: Writes YAML in flow style.
    """

    def __init__(self, flow: FlowWriter) -> None:
        self._flow = flow

    def text(self, value: dict[str, Any]) -> str:
        """Return *value* as the lines of an entry whose dash stands at column 0, from after the dash."""
        out: list[str] = []
        self._node(out, value, 0, follows_dash=True)
        return "".join(out).removeprefix(" ")

    def _node(self, out: list[str], value: Any, level: int, *, follows_dash: bool) -> None:
        """Append *value*, held by a dash or key that stands *level* steps in, from right after that."""
        if isinstance(value, dict) and self._fits(value, level):
            self._members(out, value, level + 1, follows_dash=follows_dash)
        elif isinstance(value, list) and self._fits(value, level):
            for child in value:
                out.append(f"\n{_INDENT * (level + 1)}-")
                self._node(out, child, level + 1, follows_dash=True)
        elif isinstance(value, str):
            out.append(" " + self._string(value, level))
        else:
            out.append(
                " " + (self._flow.text(value) if isinstance(value, dict | list) else self._flow.scalar(value))
            )

    def _members(self, out: list[str], value: dict[str, Any], level: int, *, follows_dash: bool) -> None:
        next_line = f"\n{_INDENT * level}"
        lead = " " if follows_dash else next_line
        for name, child in value.items():
            out.append(f"{lead}{self._key(name)}:")
            self._node(out, child, level, follows_dash=False)
            lead = next_line

    def _fits(self, value: dict[str, Any] | list[Any], level: int) -> bool:
        if not value or level >= _DEEPEST:
            return False
        return isinstance(value, list) or all(len(self._key(name)) <= LONGEST_KEY for name in value)

    def _key(self, name: str) -> str:
        return name if _PLAIN_KEY.fullmatch(name) else self._flow.scalar(name)

    def _string(self, text: str, level: int) -> str:
        lines = text.removesuffix("\n").split("\n")
        if len(lines) == 1 or not _survives_as_literal(text, lines):
            return self._flow.scalar(text)
        indent = _INDENT * (level + 1)
        header = "|2" if text.endswith("\n") else "|2-"
        return "\n".join([header, *(indent + line if line else "" for line in lines)])


def _survives_as_literal(text: str, lines: list[str]) -> bool:
    """Tell whether a literal block is sure to give *text* back, whose lines are *lines*."""
    if _NOT_LITERAL.search(text) or "${{" in text or not lines[-1]:
        return False
    return all(line.strip(" ") for line in lines if line)
