"""Moments as arguments: what `flows.moments` understands; and ``live``, which is etcd now."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

from replicator.flows import moments
from replicator.wiring import SystemClock

if TYPE_CHECKING:
    from replicator.core.plan import Target
    from replicator.ports import ObjectStore

LIVE: Final = "live"
MOMENT_HELP: Final = moments.MOMENT_HELP


class MomentsCommand(click.Command):
    """A command whose arguments may be moments such as ``-1h``, which click takes for options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let a blank stand before each, so that it is none; `parse_moment` takes it away."""
        return super().parse_args(ctx, [f" {word}" if re.match("-[0-9]", word) else word for word in args])


def parse_moment(text: str, store: ObjectStore) -> Target:
    """Return the moment that *text* names: see `flows.moments.parse_moment`.

    Raises:
        UsageError: It names none.
    """
    return moments.parse_moment(text, store, SystemClock().now().astimezone())
