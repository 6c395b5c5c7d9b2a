"""Change bytes at random, as a fuzzer without coverage does; the same seed changes them the same way."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKENS = [
    *(
        b"0",
        b"-1",
        b"9223372036854775808",
        b"1e400",
        b"null",
        b"true",
        b"{}",
        b"[]",
        b'""',
        b'"',
        b"\\",
        b"\n",
    ),
    *(
        b"\0",
        b"\xff",
        b"\xed\xa0\x80",
        b"\\ud800",
        b"2026-01-01T00:00:00",
        b"0001-01-01T00:00:00+14:00",
        b",",
    ),
    *(
        b"[" * 300,
        b"{" * 300,
        b'{"a":' * 3000,
        b":",
        b"<<",
        b"${{",
        b"#END",
        b"\xe2\x80\xa8",
        b"\xc2\x85",
        b"9" * 5000,
    ),
]


def mutants(seeds: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Yield *count* changed forms of *seeds*."""
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.choice([1, 1, 1, 2, 4, 8])):
            _change(data, seeds, chance)
        yield bytes(data)


def _change(data: bytearray, seeds: list[bytes], chance: random.Random) -> None:
    start = chance.randint(0, len(data))
    end = min(len(data), start + chance.choice([0, 1, 1, 2, 8, 64]))
    other = chance.choice(seeds)
    cut = chance.randint(0, len(other))
    replacement = chance.choice(
        [
            b"",
            chance.randbytes(end - start),
            chance.randbytes(1),
            chance.choice(TOKENS),
            chance.choice(TOKENS),
            other[cut : cut + chance.choice([1, 4, 16, 64])],
            bytes(data[start:end]) * 2,
        ]
    )
    data[start:end] = replacement
