"""Where a switch stands: written down in the agent's home before each step, so that none is forgotten."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (msgspec asks for it)
from typing import TYPE_CHECKING, Literal

import msgspec

from replicator.core.failover import Mode  # noqa: TC001 (likewise)
from replicator.errors import UsageError

if TYPE_CHECKING:
    from replicator.ports import Home

JOURNAL = "state.json"
ORIGINAL = "config.yaml.original"
STANDALONE = "config.yaml.standalone"
REPLACED = "config.yaml.replaced"
"""What somebody else had put into config.yaml, or the original before theirs, when that was replaced."""


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """Where the switch stands.

    Attributes:
        mode: What the gateway runs on, as far as the last whole switch says.
        to: Where it is being turned; None while nothing is under way. *mode* itself: it is to read its
            config.yaml once more.
        step: The step of that which may have been taken, or not.
        is_undo: Whether that is on its way back to *mode*.
        has_reloaded: Whether the gateway may have read what *to* means.
        is_quiet: Whether the gateway doesn't run, so that nothing is reloaded.
        is_forced: Whether a config.yaml of somebody else's may be replaced.
        original: SHA-256 of the gateway's own config.yaml, kept in the home; empty before the first switch.
        written: SHA-256 of the config.yaml that was put in its place.
        is_paused: Whether nothing is to be switched but by hand.
        is_pinned: Whether the gateway was turned to the file by hand.
        undone: How many switches in a row were undone.
        ended_at: When the last switch ended; None if there was none.
        why: Why it was done.
        failure: Why it was undone; empty if it wasn't.
        unread: Why the gateway may not have read its config.yaml; empty if it has.
    """

    mode: Mode = "etcd"
    to: Mode | None = None
    step: Literal["resting", "replacing", "reloading", "awaiting"] = "resting"
    is_undo: bool = False
    has_reloaded: bool = False
    is_quiet: bool = False
    is_forced: bool = False
    original: str = ""
    written: str = ""
    is_paused: bool = False
    is_pinned: bool = False
    undone: int = 0
    ended_at: datetime | None = None
    why: str = ""
    failure: str = ""
    unread: str = ""

    @property
    def goal(self) -> Mode:
        """What the step under way leads to."""
        return self.mode if self.is_undo or self.to is None else self.to


def read_journal(home: Home) -> Journal:
    """Return where the switch stands; as at the beginning if nobody has written that down.

    Raises:
        UsageError: What is there can't be read: the original may be in the home all the same.
    """
    body = home.read(JOURNAL)
    if body is None:
        return Journal()
    try:
        return msgspec.json.decode(body, type=Journal)
    except msgspec.DecodeError:
        raise UsageError(
            f"agent.home: {JOURNAL} is damaged",
            hint=f"put the gateway's config.yaml right ({ORIGINAL} there may hold it), then remove {JOURNAL}",
        ) from None
