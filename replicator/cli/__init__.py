"""The command line: one file for each command. Only this room prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from replicator.cli.app import replicator
from replicator.cli.words import say
from replicator.errors import ReplicatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code.

    What a user can act upon is told in a line, with what to do in another. Anything else is a bug, and
    keeps its traceback.
    """
    try:
        return int(replicator.main(args=arguments, prog_name="replicator", standalone_mode=False) or 0)
    except ReplicatorError as error:
        return complain(str(error), error.hint, error.exit_code)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "replicator"
        return complain(error.format_message(), f"{where} --help", error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return complain("interrupted", "", INTERRUPTED)


def complain(what: str, hint: str, exit_code: int) -> int:
    """Tell what is wrong and what to do; return *exit_code*."""
    say(f"replicator: {what}", err=True, fg="red")
    if hint:
        say(f"  try: {hint}", err=True)
    return exit_code
