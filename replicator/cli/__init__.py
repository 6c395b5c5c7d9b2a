"""The command line: one file for each command. Only this room prints."""

from __future__ import annotations

import resource
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from replicator.cli.app import replicator
from replicator.cli.words import say
from replicator.errors import ReplicatorError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code.

    What a user can act upon is told in a line, with what to do in another. Anything else is a bug, and
    keeps its traceback.
    """
    _write_no_core()
    try:
        with _terminated_in_order():
            return int(replicator.main(args=arguments, prog_name="replicator", standalone_mode=False) or 0)
    except ReplicatorError as error:
        return complain(str(error), error.hint, error.exit_code)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "replicator"
        return complain(error.format_message(), f"{where} --help", error.exit_code)
    except MemoryError:
        return complain(
            "this takes more memory than the process may have",
            "give it more; if the archive isn't as large as that, look at docs/security.md",
            UsageError.exit_code,
        )
    except (click.Abort, KeyboardInterrupt):
        return complain("interrupted", "", INTERRUPTED)


def _write_no_core() -> None:
    """Leave no dump of this process's memory: there are secrets in it."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


@contextmanager
def _terminated_in_order() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does, so that it cleans up behind itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def complain(what: str, hint: str, exit_code: int) -> int:
    """Tell what is wrong and what to do; return *exit_code*."""
    say(f"replicator: {what}", err=True, fg="red")
    if hint:
        say(f"  try: {hint}", err=True)
    return exit_code
