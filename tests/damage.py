"""Everything that can happen to one object's bytes, one thing at a time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def damaged(body: bytes, seed: int = 1) -> Iterator[bytes]:
    """Yield *body* with each of its bytes changed at random, cut at each place, and with a byte too many."""
    chance = random.Random(seed)
    for place, byte in enumerate(body):
        yield body[:place] + bytes([byte ^ chance.randint(1, 255)]) + body[place + 1 :]
        yield body[:place]
    for place in (0, len(body) // 2, len(body)):
        yield body[:place] + chance.randbytes(1) + body[place:]
