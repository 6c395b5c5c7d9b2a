"""The reference of all commands, made from their definitions. docs/reference.md is its output.

Run as ``python -m replicator.cli.reference``.
"""

from __future__ import annotations

import sys
from inspect import cleandoc
from typing import TYPE_CHECKING, Final

import click

from replicator import errors
from replicator.cli import INTERRUPTED
from replicator.cli.app import COMMANDS
from replicator.cli.app import replicator as program
from replicator.errors import ReplicatorError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREAMBLE: Final = """\
# Commands

<!-- Written by `python -m replicator.cli.reference`; edit the commands in replicator/cli/ and errors.py. -->

People's words and progress go to stderr, results to stdout. Where stderr is a terminal, work that takes
longer than half a second shows a bar with its rate and the time that is left, and takes it away at the end.
[Settings](configuration.md) and [log events](events.md) have pages of their own.
"""

_EXIT_CODES: Final = """\
## Exit codes

An error is one line that says what is wrong, and one that says what to do; `replicator` exits with its code.

| code | meaning |
|---|---|
| 0 | Done. |
| 1 | A bug; its traceback is printed. |"""


def reference() -> str:
    """Return the reference as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _PREAMBLE
    context = click.Context(program)
    opening = (program.help or "").partition("\n\n")[0]  # the exit codes, which follow it, have a table here
    yield from _command("replicator [OPTIONS] COMMAND", program, opening)
    for name in COMMANDS:
        command = program.get_command(context, name)
        if command is not None:
            yield from _tree(f"replicator {name}", command)
    yield _EXIT_CODES
    yield from (f"| {code} | {' '.join(meanings)} |" for code, meanings in _codes().items())
    yield f"| {INTERRUPTED} | Interrupted by Ctrl-C. |\n"


def _tree(title: str, command: click.Command) -> Iterator[str]:
    """Yield a command, and those below it, each with what it is called with."""
    arguments = [param.human_readable_name for param in command.params if isinstance(param, click.Argument)]
    below = command.commands if isinstance(command, click.Group) else {}
    yield from _command(
        " ".join([title, *arguments, *["COMMAND"] * bool(below)]), command, command.help or ""
    )
    for name, each in below.items():
        yield from _tree(f"{title} {name}", each)


def _command(title: str, command: click.Command, help_: str) -> Iterator[str]:
    yield f"## {title}\n"
    yield _text(help_)
    options = [option for option in command.params if isinstance(option, click.Option)]
    if options:
        yield "| option | default | meaning |"
        yield "|---|---|---|"
        yield from map(_row, options)
        yield ""


def _call(name: str, command: click.Command) -> str:
    """Return a command's name with what it takes behind it."""
    arguments = [
        part.make_metavar(click.Context(command))
        for part in command.params
        if part.param_type_name == "argument"
    ]
    return " ".join([name, *arguments])


def _text(help_: str) -> str:
    r"""Return a command's help as Markdown: what follows click's ``\b`` keeps its lines, as code."""
    paragraphs = cleandoc(help_).split("\n\n")
    return "\n\n".join(_paragraph(text) for text in paragraphs) + "\n"


def _paragraph(text: str) -> str:
    if not text.startswith("\b\n"):
        return text
    lines = text.removeprefix("\b\n")
    return f"```\n{cleandoc(lines)}\n```"


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    argument = "" if option.is_flag else f" `{_metavar(option)}`"
    default = f"`{option.default}`" if option.show_default else ""
    cells = (cell.replace("|", r"\|") for cell in (names + argument, default, option.help or ""))
    return f"| {' | '.join(cells)} |"


def _metavar(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "|".join(option.type.choices)
    return option.metavar or option.type.name.upper()


def _codes() -> dict[int, list[str]]:
    """Return the meanings of each exit code, as the classes of errors say them."""
    found: dict[int, list[str]] = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, ReplicatorError) and kind is not ReplicatorError:
            found.setdefault(kind.exit_code, []).append(cleandoc(kind.__doc__ or ""))
    return dict(sorted(found.items()))


if __name__ == "__main__":
    sys.stdout.write(reference())
