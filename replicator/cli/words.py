"""Words for people: what a key, a server or an archive put into them must not command the terminal."""

from __future__ import annotations

import click


def printable(line: str) -> str:
    """Return *line* so that a terminal shows it and obeys nothing in it: a key may hold anything."""
    return "".join(
        char if char.isprintable() and char != "\\" else char.encode("unicode_escape").decode()
        for char in line
    )


def say(line: str, *, err: bool = False, fg: str | None = None) -> None:
    """Print one line of words, on stderr if *err*."""
    click.secho(printable(line), err=err, fg=fg)
