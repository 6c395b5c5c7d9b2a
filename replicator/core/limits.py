"""What an archive may hold at most: so that hostile bytes end in an error, and not in all of the memory.

Each bound lies beyond what our own writer can write; docs/security.md says how it was found.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

LINE_BYTES: Final = 128 << 20
"""A line. A value takes at most six bytes of it for each of its own, and etcd advises against requests above
10 MiB. The writer holds to it as well."""

SEGMENT_BYTES: Final = 512 << 20
"""A segment's text: the inbox, where its events wait, holds 64 MiB, each byte at most six of the text's."""

SEGMENT_LINES: Final = 1 << 20
"""A segment's events: 160 bytes of the inbox are counted for each, besides its key and value."""

STATE_BYTES: Final = 16 << 30
"""All keys and values of a snapshot: twice the largest database that etcd advises to keep."""

DOCUMENT_BYTES: Final = 16 << 20
"""A document: the prefix alone can make it longer than a page."""

EPOCHS: Final = 1_000_000
"""The epochs of an archive: one a minute, for two years."""

INT64_MAX: Final = (1 << 63) - 1

Number = Annotated[int, msgspec.Meta(ge=-1, le=INT64_MAX)]
"""A revision, a version or a count, as etcd has them; -1 where a line leaves it out."""

Lease = Annotated[int, msgspec.Meta(ge=-INT64_MAX - 1, le=INT64_MAX)]
"""A lease's id."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its zone; `is_sound` says whether it can be reckoned with."""

UNREADABLE: Final = (msgspec.DecodeError, ValueError, OverflowError, RecursionError)
"""All that a JSON decoder raises, whatever the bytes: nesting and long numbers included."""


def check_moments(*moments: datetime) -> None:
    """Raise ValueError unless all of them are sound; a decoder makes its own error of that."""
    if not all(map(is_sound, moments)):
        raise ValueError("a time at the end of the calendar")


def is_sound(moment: datetime) -> bool:
    """Tell whether *moment* has a year of four digits, also in UTC: else its name would be another's."""
    if 1000 < moment.year < 9998:  # the short way: no zone is as much as a year off
        return True
    try:
        return 1000 <= moment.astimezone(UTC).year < 9999
    except OverflowError:
        return False
