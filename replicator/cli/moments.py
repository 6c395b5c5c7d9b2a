"""Moments as arguments: a time, ``latest``, a revision, ``point:NAME``; and ``live``, which is none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

from replicator.cli.options import REVISION, TIME
from replicator.core.plan import AtRevision, AtTime, Latest
from replicator.errors import UsageError
from replicator.flows.points import read_point, target_of

if TYPE_CHECKING:
    from replicator.core.plan import Target
    from replicator.ports import ObjectStore

LIVE: Final = "live"
MOMENT_HELP: Final = "a time (RFC 3339 with a zone, or relative like -15m), a revision, latest, or point:NAME"


class MomentsCommand(click.Command):
    """A command whose arguments may be moments such as ``-1h``, which click takes for options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let a blank stand before each, so that it is none; `parse_moment` takes it away."""
        return super().parse_args(ctx, [f" {word}" if re.match("-[0-9]", word) else word for word in args])


def parse_moment(text: str, store: ObjectStore) -> Target:
    """Return the moment that *text* names; a named point is looked up in *store*.

    Raises:
        UsageError: It names none.
    """
    text = text.strip()
    if text == "latest":
        return Latest()
    if text.startswith("point:"):
        return target_of(read_point(store, text.removeprefix("point:")))
    if re.fullmatch("[0-9]+", text):
        return AtRevision(REVISION.convert(text, None, None))
    try:
        return AtTime(TIME.convert(text, None, None))
    except UsageError as error:
        raise UsageError(f'"{text}" is no moment: {error}', hint=f"a moment is {MOMENT_HELP}") from None
