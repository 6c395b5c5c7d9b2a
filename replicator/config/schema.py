"""The settings as a JSON Schema: what may stand under `config` in the values of deploy/helm.

It refuses what the reader refuses of names and kinds, before anything is deployed, and three things more. A
text must be one: Helm reads ``version: 3.10`` as a number, whose zero is lost. A secret must come from a
variable: what Helm renders is a ConfigMap, which keeps none. And ``deployment.fallback_cp`` must stand as
``fallback_cp``.

`python -m replicator.config.schema FILE` puts it into the chart's schema, among its definitions.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin

from msgspec.structs import fields

from replicator.config.fallback import BUCKETS, KNOWN, TO_S3
from replicator.config.keys import is_section, kind_of
from replicator.config.settings import S3, Settings
from replicator.config.values import Bytes, Secret

Schema: TypeAlias = dict[str, Any]

_VARIABLE: Final = r"(^|[^$])\$\{[A-Za-z_][A-Za-z0-9_]*\}"
_WIDTH: Final = 110
_NAMES: Final[Mapping[Any, str]] = {bool: "truth", timedelta: "duration", Bytes: "size", Secret: "secret"}
_KINDS: Final[Schema] = {
    "text": {"type": ["string", "null"]},
    "truth": {"type": ["boolean", "string", "null"], "pattern": rf"^(true|false)$|{_VARIABLE}"},
    "duration": {
        "description": "With its unit, such as 30s; 0 needs none.",
        "type": ["string", "integer", "null"],
        "minimum": 0,
        "maximum": 0,
    },
    "size": {"type": ["string", "integer", "null"], "minimum": 0},
    "secret": {
        "description": "${NAME}, of a variable. Not, twice: the error of a pattern shows what was written.",
        "type": ["string", "null"],
        "not": {"not": {"pattern": _VARIABLE}},
    },
}


def definitions() -> Schema:
    """Return the definition ``settings``, of a settings file, and those in it (JSON Schema, draft 7)."""
    sections = {one.name: _of(kind_of(one)) for one in fields(Settings)}
    return {**_KINDS, "settings": _object({**sections, "fallback_cp": _fallback()})}


def _of(kind: Any) -> Schema:
    if is_section(kind):
        return _object({one.name: _of(kind_of(one)) for one in fields(kind)})
    if get_origin(kind) is tuple:
        return {"type": ["array", "null"], "items": _of(get_args(kind)[0])}
    if get_origin(kind) is Mapping:
        return {"type": ["object", "null"], "additionalProperties": _of(get_args(kind)[1])}
    if get_origin(kind) is Literal:
        return {"type": ["string", "null"], "pattern": rf"^({'|'.join(get_args(kind))})$|{_VARIABLE}"}
    return _named(_NAMES.get(kind, "text"))


def _named(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _object(properties: Schema) -> Schema:
    return {"type": ["object", "null"], "additionalProperties": False, "properties": properties}


def _fallback() -> Schema:
    s3 = {one.name: _of(kind_of(one)) for one in fields(S3)}
    names = {theirs: s3[ours] for theirs, ours in TO_S3.items()}
    buckets = dict.fromkeys(BUCKETS, _named("text"))
    seconds = {"type": ["string", "integer", "null"], "minimum": 1}
    known = dict.fromkeys(KNOWN, _named("text"))
    return _object({**known, "aws_s3": _object({**names, **buckets}), "interval": seconds})


def put_into(values: str) -> str:
    """Return the schema *values* of a chart with `definitions` among its own."""
    told = json.loads(values)
    told["definitions"] |= definitions()
    return f"{_written(told)}\n"


def _written(value: Any, indent: int = 0, name: str = "") -> str:
    """Return *value*, which *name* stands before, as JSON: each part of it in one line if it fits there."""
    line = f"{' ' * indent}{name}{json.dumps(value)}"
    if len(line) < _WIDTH or not isinstance(value, dict | list):
        return line
    pairs = value.items() if isinstance(value, dict) else ((None, part) for part in value)
    parts = [_written(part, indent + 2, f"{json.dumps(key)}: " if key else "") for key, part in pairs]
    begin, end = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([f"{' ' * indent}{name}{begin}", ",\n".join(parts), f"{' ' * indent}{end}"])


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(put_into(path.read_text(encoding="utf-8")), encoding="utf-8")
