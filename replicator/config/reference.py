"""The reference of all settings, made from their definitions. docs/configuration.md is its output."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import fields

from replicator.config.keys import is_section, kind_of, known
from replicator.config.settings import Settings
from replicator.core.quantities import human_duration, human_size
from replicator.core.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from replicator.config.keys import Key

_PREAMBLE: Final = """\
# Configuration

<!-- Written by `python -m replicator.config`; edit the descriptions in replicator/config/settings.py. -->

`replicator -c replicator.yaml` reads one YAML file per source. Every setting has a default but `archive`:

```yaml
etcd:
  endpoints: [http://127.0.0.1:2379]
  prefix: /apisix
archive: file:///var/lib/replicator/archive
```

- **A variable of the environment stands above the file**: its name is in the table. A list is written with
  commas. An empty variable counts as not set.
- **`${NAME}`** in a value of the file stands for that variable, which must be set. `$${` is a literal `${`.
  The file is parsed first, so what a variable holds is never read as YAML.
- **Values are text**, and each setting reads its own: `version: 3.10` is "3.10". A name without a value
  (`password:`) is as good as left out.
- **Durations** are written `500ms`, `1m30s`, `2h`, `30d`, `1y` (365 days) or `0`; **sizes** `512KiB`, `4MiB`
  (powers of 1024), `10MB` (powers of 1000) or in bytes; **paths** count from the working directory.
- **`fallback_cp`**, as API7 Enterprise has it, may stand in the file in place of `archive`, `s3` and so on:
  [what each of its keys means here](guides/fallback-cp.md).
- **Refused**, with file, line and name: unknown settings, repeated names, YAML's anchors, aliases and tags.
"""

_SHOWN_BY: Final[Mapping[type, Callable[[Any], str]]] = {
    type(None): lambda _: "",
    bool: lambda value: str(value).lower(),
    int: human_size,
    float: lambda value: f"{value:.0%}",
    timedelta: lambda value: human_duration(value.total_seconds()),
    tuple: lambda value: f"[{', '.join(value)}]",
    Schedule: lambda value: value.spec,
}


def reference() -> str:
    """Return the reference as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _PREAMBLE
    for setting in fields(Settings):
        kind = kind_of(setting)
        yield f"## {setting.name}\n"
        if is_section(kind):
            yield f"{kind.__doc__.strip()}\n"
        yield "| setting | default | variable | meaning |"
        yield "|---|---|---|---|"
        yield from (_row(key) for key in known().values() if key.name.split(".")[0] == setting.name)
        yield ""


def _row(key: Key) -> str:
    default = _written(key.default)
    variable = f"`{key.variable}`" if key.variable else ""
    return f"| `{key.name}` | {f'`{default}`' if default else ''} | {variable} | {key.description} |"


def _written(value: object) -> str:
    show = _SHOWN_BY.get(type(value), str)
    return show(value)
