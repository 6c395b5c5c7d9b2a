"""How many keys to ask for at once, when nobody knows beforehand what they weigh."""

from __future__ import annotations

_AIM_BYTES = 4 << 20
_FIRST_KEYS = 100
_MOST_KEYS = 1000  # larger pages are hardly quicker, and each may weigh a thousand times the largest value
_GROWTH = 4


class PageSize:
    """Aims at pages of 4 MiB; *keys* is how many to ask for next."""

    def __init__(self) -> None:
        self.keys = _FIRST_KEYS

    def note(self, keys: int, size_bytes: int) -> None:
        """Learn that a page of so many *keys* weighed *size_bytes*."""
        fitting = _AIM_BYTES * keys // max(size_bytes, 1)
        self.keys = max(1, min(fitting, _GROWTH * self.keys, _MOST_KEYS))

    def shrink(self) -> bool:
        """Ask for fewer, since a page was more than could be sent; False if it is a single key already."""
        could = self.keys > 1
        self.keys = max(1, self.keys // _GROWTH)
        return could
