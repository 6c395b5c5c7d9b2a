"""A command's answer, on stdout. Words about it go to stderr."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from replicator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def answering() -> Iterator[None]:
    """Write to stdout in this block alone: its reader may have had enough, its disk no room.

    Raises:
        UsageError: stdout takes no more.
        click.exceptions.Exit: Its reader has closed it. That ends the command, and is no failure.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon()
        raise click.exceptions.Exit(0) from None
    except OSError as error:
        _abandon()
        raise UsageError(
            f"can't write to stdout: {error.strerror}", hint="send it to another place"
        ) from None


def _abandon() -> None:
    """Let what is still buffered go nowhere: Python would try it once more at its end, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
