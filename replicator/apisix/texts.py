"""Write a string so that the gateway reads it back: as YAML, as JSON, and in a YAML comment.

A gateway replaces ``${{VAR}}`` by environment variables: in YAML since APISIX 3.17 in the file's raw text,
comments included, else in every string after parsing. No ``${{`` may come through either way: in the
first case no ``$`` is written as such, in the second each ``${{`` is itself written as a variable with a
default, which gives it back.
"""

from __future__ import annotations

import json
import re

_NOT_PLAIN_IN_YAML = re.compile(r"[^ !#%-\[\]-~]")  # outside printable ASCII, and " \ $
_NOT_PLAIN_IN_COMMENT = re.compile(r"[^ -\[\]-~]|\$(?=\{\{)")
_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def yaml_string(text: str) -> str:
    """Return *text* in double quotes, in printable ASCII without ``$``.

    JSON's escapes will not do: libyaml refuses surrogate pairs, and raw DEL, C1 or U+FFFE.
    """
    return f'"{_NOT_PLAIN_IN_YAML.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    return _SHORT_ESCAPES.get(char) or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def json_string(text: str) -> str:
    """Return *text* as JSON, all but control characters raw; the surrogates of odd bytes stay in it."""
    return json.dumps(text, ensure_ascii=False)


def guarded(text: str) -> str:
    """Return *text* so that a gateway that replaces variables after parsing ends up with *text*."""
    return text.replace("${{", "${{X_:=$}}{{")


def comment(line: str) -> bytes:
    r"""Return *line* as one YAML comment line: printable ASCII, all else as YAML's escapes show it.

    A backslash is doubled, so the line stays unambiguous; the ``$`` of ``${{`` is written ``\u0024``.
    """
    return f"# {_NOT_PLAIN_IN_COMMENT.sub(_escape, line)}".rstrip().encode() + b"\n"
