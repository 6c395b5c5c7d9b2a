"""What is known of a gateway's copy, for people and for the next start."""
# No `from __future__ import annotations`: the types are asked for at run time.

from datetime import datetime

import msgspec

from replicator.core.wipe_guard import Held, Peak


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What was given to the gateway last.

    Attributes:
        archive_id: Of which archive.
        epoch: The epoch of the newest state that it is the file of.
        revision: The revision of that state.
        content: SHA-256 of what the gateway reads: the bytes without comments.
        sha256: Of all bytes.
        counts: How many items of each type are in them.
        plugins: Digest of the plugin list, empty if there is none.
        written_at: When.
    """

    archive_id: str
    epoch: int
    revision: int
    content: str
    sha256: str
    counts: dict[str, int]
    plugins: str = ""
    written_at: datetime


class CopyTold(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the copy.

    Attributes:
        written: What the gateway has; None if it was never given anything.
        observed_through: All that was committed until then is in the copy; None if nobody knows.
        held: Why a change is held back from the gateway; empty if none is.
        held_since: Since when.
        failure: Why the copy isn't kept fresh at the moment; empty if it is.
        refused: How many keys of the state can't be put into the file.
        unopened: Items with a field that looks encrypted, and no key of the keyring opens it.
    """

    written: Written | None = None
    observed_through: datetime | None = None
    held: str = ""
    held_since: datetime | None = None
    failure: str = ""
    refused: int = 0
    unopened: tuple[str, ...] = ()


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What a next start must know, as the agent's home keeps it.

    Attributes:
        written: What the gateway has.
        observed_through: As in `CopyTold`.
        peak: What a loss is measured by.
        held: The change that is held back.
    """

    written: Written
    observed_through: datetime | None = None
    peak: Peak = Peak()
    held: Held | None = None
