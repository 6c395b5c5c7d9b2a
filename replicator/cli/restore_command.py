"""``replicator restore``: the standalone file of any moment."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from replicator import wiring
from replicator.cli.gateway import Given, asks_config
from replicator.cli.gateway import options as gateway_options
from replicator.cli.options import (
    ENDPOINTS,
    HTTP_URL,
    REVISION,
    TIME,
    archive_option,
    json_option,
    print_json,
)
from replicator.cli.progress import progress
from replicator.cli.push import key_of, push
from replicator.cli.recorded_files import RecordedFiles, recorded_config, recorded_files
from replicator.cli.restored import Answer, key_values, standalone_file
from replicator.cli.rewriting import Consent, to_etcd
from replicator.cli.stdout import answering
from replicator.cli.words import say
from replicator.core.plan import AtRevision, AtTime, Latest
from replicator.errors import Refused, UsageError
from replicator.flows.instance import holds_files
from replicator.flows.points import read_point, target_of
from replicator.flows.restore import restore
from replicator.wiring_instance import instance_store

if TYPE_CHECKING:
    from datetime import datetime

    from replicator.apisix.formats import Format, Style
    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl, Settings
    from replicator.config.values import Endpoint, HttpUrl
    from replicator.core.plan import Target
    from replicator.ports import ObjectStore

_FILE = click.Path(path_type=Path)
_OUT = click.Path(readable=False, allow_dash=True)


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of one call."""

    moment: datetime | None
    revision: int | None
    latest: bool
    point: str | None
    exclusive: bool
    output: str
    format_: Format | Literal["kv", "adc"]
    style: Style
    apisix_version: str | None
    keyring: Path | None
    plugins: Path | None
    strict: bool
    allow_gap: bool
    report: Path | None
    push: HttpUrl | None
    push_key_file: Path | None
    to_etcd: tuple[Endpoint, ...] | None
    only: str | None
    max_deletes: int
    yes: bool
    dry_run: bool
    archive: ArchiveUrl | None
    instance: bool
    as_json: bool

    def check_moment(self) -> None:
        """Raise unless one moment is named.

        Raises:
            UsageError: None is named, or several.
        """
        named = self.moment, self.revision, self.latest or None, self.point
        if len(named) - named.count(None) != 1:
            raise UsageError(
                "which moment? Say one of --at, --revision, --latest and --point",
                hint="replicator list  (shows what can be restored)",
            )
        if (self.latest or self.point) and self.exclusive:
            raise UsageError("--exclusive goes with --at or --revision", hint="replicator restore --help")

    def check_answer(self) -> None:
        """Raise unless it is clear where the answer goes.

        Raises:
            UsageError: It would go to two places at once, or nowhere.
        """
        is_written = self.push is not None or self.to_etcd is not None
        if not is_written and (self.dry_run or self.push_key_file):
            raise UsageError(
                "--dry-run goes with --push or --to-etcd, --push-key-file with --push",
                hint="replicator restore --help",
            )
        if self.to_etcd is None and (self.only or self.yes or self.max_deletes):
            raise UsageError(
                "--only, --yes and --max-deletes go with --to-etcd", hint="replicator restore --help"
            )
        if is_written and (self.output != "-" or self.format_ != "yaml"):
            raise UsageError(
                "--push and --to-etcd go without -o and --format", hint="restore twice, for two places"
            )
        if self.push is not None and self.to_etcd is not None:
            raise UsageError("--push and --to-etcd are two places", hint="restore twice")
        if not is_written and self.as_json and self.output == "-":
            raise UsageError(
                "--json and the file can't both go to stdout", hint="say where the file goes: -o FILE"
            )

    def target(self, store: ObjectStore) -> Target:
        """Return the moment that is meant; a named point is looked up in *store*.

        Raises:
            UsageError: There is no such point.
        """
        if self.moment is not None:
            return AtTime(self.moment, self.exclusive)
        if self.revision is not None:
            return AtRevision(self.revision - self.exclusive)
        if self.point is not None:
            return target_of(read_point(store, self.point))
        return Latest()


@click.command("restore")
@click.option(
    "--at",
    "moment",
    type=TIME,
    metavar="TIME",
    help="The last revision up to TIME: RFC 3339 with a zone, or relative like -15m.",
)
@click.option("--revision", type=REVISION, metavar="N", help="The state at etcd's revision N.")
@click.option("--latest", is_flag=True, help="The last revision that was recorded.")
@click.option("--point", metavar="NAME", help="A named point: see `replicator point`.")
@click.option("--exclusive", is_flag=True, help="Before TIME or N, instead of up to it.")
@click.option("-o", "--output", type=_OUT, default="-", metavar="FILE", help="Where to; default: -, stdout.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["yaml", "json", "kv", "adc"]),
    default="yaml",
    show_default=True,
    help="apisix.yaml, apisix.json (config_provider: json), etcd's key/values (a JSON line each), or ADC's "
    "YAML.",
)
@click.option(
    "--style",
    type=click.Choice(["flow", "block"]),
    default="flow",
    show_default=True,
    help="YAML for gateways, a line for each item; or for people, indented.",
)
@click.option("--apisix-version", metavar="X.Y", help="The gateway's version; default: apisix.version.")
@click.option(
    "--keyring",
    type=_FILE,
    metavar="FILE",
    help="The gateway's data_encryption.keyring, a list in YAML or JSON; empty: its data encryption is off.",
)
@click.option(
    "--plugins",
    type=_FILE,
    metavar="FILE",
    help="The plugins that the gateway loads: a list, or a mapping with plugins and stream_plugins.",
)
@click.option("--strict", is_flag=True, help="Write no file if anything is refused or inexact.")
@click.option(
    "--allow-gap", is_flag=True, help="Where nobody recorded what happened: take the last state before that."
)
@click.option(
    "--push",
    type=HTTP_URL,
    metavar="URL",
    help="Give it to the gateway with this Admin API, in API-driven standalone mode; such as "
    "http://127.0.0.1:9180.",
)
@click.option(
    "--push-key-file",
    type=_FILE,
    metavar="FILE",
    help="The Admin API's key; default: agent.push_key.",
)
@click.option(
    "--to-etcd",
    type=ENDPOINTS,
    metavar="ENDPOINTS",
    help="Write it into the etcd with these endpoints (comma-separated), after showing the plan; credentials "
    "and TLS as the settings say.",
)
@click.option("--only", metavar="TYPE[/ID]", help="With --to-etcd: only this, or all of this type.")
@click.option(
    "--max-deletes",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="With --to-etcd: how many keys it may delete.",
)
@click.option("--yes", is_flag=True, help="With --to-etcd: don't ask.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="With --push or --to-etcd: show what would change, and write nothing.",
)
@click.option("--report", type=_FILE, metavar="FILE", help="What the file can't say, as JSON.")
@archive_option
@click.option(
    "--instance",
    is_flag=True,
    help="Give back the files of instance.archive, such as config.yaml: one as -o FILE, several into -o DIR.",
)
@json_option
@click.pass_obj
def command(shared: Shared, /, **words: Any) -> None:
    """Rebuild the state of any moment as the file that a gateway reads without etcd.

    \b
      replicator restore --at 2026-11-23T03:05:00Z -o apisix.yaml
      replicator restore --at -15m --style block | less
      replicator restore --latest --archive s3://bucket/path --keyring keys.yaml -o apisix.yaml
      replicator restore --at -15m --push http://127.0.0.1:9180 --push-key-file admin.key
      replicator -c replicator.yaml restore --latest --to-etcd http://127.0.0.1:2379
      replicator -c replicator.yaml restore --instance --at -1h -o config.yaml
    """  # noqa: D301 (click wants the character itself)
    asked = Asked(**words)
    asked.check_moment()
    asked.check_answer()
    settings = shared.settings(asked.archive)
    store = _store(settings, asked)
    target = asked.target(store)
    given = Given(asked.apisix_version, asked.keyring, asked.plugins)
    gateway = gateway_options(settings.apisix, given)  # what is wrong there is told before the work
    with progress("replaying", "objects") as bar:
        restored = restore(store, target, allow_gap=asked.allow_gap, progress=bar)
    if asked.to_etcd is not None:
        consent = Consent(asked.dry_run, asked.yes, asked.max_deletes)
        written = to_etcd(settings, restored, asked.to_etcd, asked.only, consent)
        if asked.as_json:
            print_json(written)
        return
    if asked.format_ == "kv":
        answer = key_values(restored)
    elif holds_files(restored.archive):
        if asked.push:
            raise UsageError(
                f"{store} is an archive of files: a gateway takes none of them by its Admin API",
                hint="-o FILE gives them back; --push goes with the archive of etcd",
            )
        answer = recorded_files(restored, asked.output)
    elif asked.instance:
        raise UsageError(
            f"{store} records the prefix {restored.archive.prefix}: it is no archive of files",
            hint="leave out --instance",
        )
    else:
        if asks_config(settings.apisix, given):
            gateway = gateway_options(settings.apisix, given, recorded_config(settings, target))
        options = replace(gateway, prefix=restored.archive.prefix.rstrip("/").encode())
        answer = standalone_file(restored, options, "api" if asked.push else asked.format_, asked.style)
    _tell(answer, asked)
    if asked.push:
        key = key_of(settings, asked.push_key_file)
        pushed = push(asked.push, key, list(answer.chunks), is_dry_run=asked.dry_run)
        if asked.as_json:
            print_json({"restored": answer.told, "pushed": pushed})
    else:
        _deliver(answer, asked)


def _store(settings: Settings, asked: Asked) -> ObjectStore:
    """Return the store that is meant: that of --archive, else that of the settings.

    Raises:
        UsageError: Nobody said where it is.
    """
    if not asked.instance or asked.archive is not None:
        return wiring.store(settings)
    store = instance_store(settings)
    if store is None:
        raise UsageError(
            "no archive of files is named", hint="set instance.archive, or say where it is: --archive URL"
        )
    return store


def _tell(answer: Answer, asked: Asked) -> None:
    """Tell first, write then: a file that --strict forbids never exists."""
    for line in answer.words():
        say(line, err=True)
    if asked.report is not None:
        wiring.write_file(asked.report, [answer.report(), b"\n"])
    lost = len(answer.told.refused) + len(answer.told.inexact)
    if asked.strict and lost:
        raise Refused(
            f"--strict: {lost} of the keys can't be carried exactly, so nothing was written",
            hint="leave out --strict to write the file without them; --report FILE tells all",
        )


def _deliver(answer: Answer, asked: Asked) -> None:
    if isinstance(answer, RecordedFiles):
        for path, body in answer.files:
            wiring.write_file(path, [body])
    elif asked.output == "-":
        with answering():
            sys.stdout.buffer.writelines(answer.chunks)
    else:
        wiring.write_file(Path(asked.output), answer.chunks)
    if asked.as_json:
        print_json(answer.told)
