"""Moments as people write them: a time, a revision, ``latest``, or a named point."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from replicator.core.limits import INT64_MAX
from replicator.core.plan import AtRevision, AtTime, Latest
from replicator.core.quantities import parse_time
from replicator.errors import UsageError
from replicator.flows.points import read_point, target_of

if TYPE_CHECKING:
    from datetime import datetime

    from replicator.core.plan import Target
    from replicator.ports import ObjectStore

MOMENT_HELP: Final = "a time (RFC 3339 with a zone, or relative like -15m), a revision, latest, or point:NAME"
"""What `parse_moment` understands."""


def parse_moment(text: str, store: ObjectStore, now: datetime) -> Target:
    """Return the moment that *text* names; a named point is looked up in *store*.

    Args:
        text: `MOMENT_HELP` says what it may be.
        store: Where the archive is.
        now: What relative times count from; aware.

    Raises:
        UsageError: It names none.
    """
    word = text.strip()
    if word == "latest":
        return Latest()
    if word.startswith("point:"):
        return target_of(read_point(store, word.removeprefix("point:")))
    if re.fullmatch("[1-9][0-9]*", word) and int(word) <= INT64_MAX:
        return AtRevision(int(word))
    try:
        return AtTime(parse_time(word, now))
    except UsageError as error:
        raise UsageError(f'"{word}" is no moment: {error}', hint=f"a moment is {MOMENT_HELP}") from None
