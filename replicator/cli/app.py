"""``replicator`` itself: what all commands share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from click.shell_completion import CompletionItem
from msgspec import structs

from replicator import wiring
from replicator.cli.words import say
from replicator.config import load, suspects
from replicator.errors import UsageError
from replicator.version import __version__

if TYPE_CHECKING:
    from replicator.config import ArchiveUrl, Settings

# Each command lives in a module of its name, imported when it is called: the shell's answer is then quick.
COMMANDS = {
    "run": "the long-running process: record every change until stopped",
    "restore": "rebuild the standalone file of any moment",
    "list": "what can be restored: epochs, coverage, gaps, snapshots",
    "history": "each change: when, to what, and what about it",
    "show": "one resource at a moment",
    "diff": "what differs between two moments, or a moment and etcd now",
    "blame": "each field of a resource: since when, by which revision",
    "bisect": "which change broke it, by a probe of your own",
    "rollback": "write one resource's old value into etcd, guarded by what it holds",
    "status": "position, lag and watermark",
    "gap": "what nobody recorded, and that somebody has looked at it",
    "verify": "the archive against itself, against etcd, by rehearsal",
    "import": "a standalone file into etcd, as the Admin API would store it",
    "export": "the history as Parquet files, for DuckDB, Athena, Trino, Spark",
    "point": "named points, which retention keeps: add, list, rm",
    "compact": "merge small segments into large objects",
    "prune": "thin the history by the retention rule; a dry run unless --yes",
    "agent": "beside a gateway: keep it serving while etcd is gone",
    "check": "configuration, etcd and store, tried for real",
    "demo": "a day of a small shop's gateway on this machine, nothing to set up",
}


class _Commands(click.Group):
    """The commands of `COMMANDS`, not imported before they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"replicator.cli.{cmd_name}_command").command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin with *incomplete*, not importing any; or the options that do."""
        commands = [
            CompletionItem(name, help=words)
            for name, words in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


LogFormat = Literal["console", "json"]


@dataclass(frozen=True, slots=True)
class Shared:
    """The options that stand before a command."""

    files: tuple[Path, ...]
    log_format: LogFormat
    log_level: str

    def settings(self, archive: ArchiveUrl | None = None) -> Settings:
        """Return the settings of the one source that a command is about; *archive* overrides theirs.

        Raises:
            UsageError: Several files are named, or a setting is wrong.
        """
        if len(self.files) > 1:
            raise UsageError("several -c are for `run` alone", hint="name one file")
        settings = read_settings(self.files[0] if self.files else None)
        return structs.replace(settings, archive=archive) if archive else settings

    def sources(self) -> list[Settings]:
        """Return the settings of all sources: one for each file, or the environment's."""
        return [read_settings(path) for path in self.files or (None,)]


def read_settings(path: Path | None) -> Settings:
    """Return the settings of *path* and the environment; tell of misspelt variables, and of open key files.

    Raises:
        UsageError: A setting is wrong.
    """
    for name, meant in suspects(os.environ).items():
        click.secho(f"replicator: {name} is no setting: is {meant} meant?", err=True, fg="yellow")
    settings = load(path, os.environ)
    for exposure in wiring.exposures(settings):
        say(f"replicator: {exposure}", err=True, fg="yellow")
    return settings


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option(
    "-c",
    "--config",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Settings (YAML); for `run` several, a source each. Without one: the environment's REPLICATOR_*.",
)
@click.option(
    "--log-format",
    type=click.Choice(["console", "json"]),
    default="console",
    show_default=True,
    help="Lines for people, or a JSON object each, on stderr.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="The least that `run` logs.",
)
@click.pass_context
def replicator(ctx: click.Context, files: tuple[Path, ...], log_format: LogFormat, log_level: str) -> None:
    """Keep every change of an API gateway's configuration, and restore any moment of it.

    \b
    Exit codes: 0 done; 1 a bug; 2 usage or configuration; 3 target not restorable; 4 archive damaged;
    5 etcd or store unavailable; 6 writer fenced; 7 refused; 8 differences
    found; 130 interrupted.
    """  # noqa: D301 (click wants the character itself)
    ctx.obj = Shared(files, log_format, log_level)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(UsageError.exit_code)
