"""What S3 asks for: AWS's list prices of us-east-1, in US dollars, as they stood for years up to 2026."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.adapters.directory import DirectoryStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from servers.proxy import Seen

MONTH_S = 30 * 86_400
WRITE = 5e-6
"""A PUT or a LIST."""
READ = 0.4e-6
"""A GET or a HEAD."""
STORED_GB_MONTH = 0.023

_NAMES_A_LIST = 1000


@dataclass(frozen=True, slots=True)
class Requests:
    """How many there were of each kind; a DELETE costs nothing."""

    puts: float = 0.0
    lists: float = 0.0
    gets: float = 0.0

    @property
    def price(self) -> float:
        """In US dollars."""
        return WRITE * (self.puts + self.lists) + READ * self.gets

    def __mul__(self, factor: float) -> Requests:
        return Requests(factor * self.puts, factor * self.lists, factor * self.gets)

    def __add__(self, other: Requests) -> Requests:
        return Requests(self.puts + other.puts, self.lists + other.lists, self.gets + other.gets)

    def __sub__(self, other: Requests) -> Requests:
        return self + other * -1

    def __str__(self) -> str:
        return f"{self.puts:,.0f} PUT, {self.lists:,.0f} LIST, {self.gets:,.0f} GET: ${self.price:.2f}"


DUMP = Requests(puts=MONTH_S / 60)
"""A month of API7's `cron_spec: '@every 1m'`, its default: one object a minute."""
LOOK = Requests(gets=MONTH_S / 10)
"""A month of an API7 data plane with its default `interval`: one object each 10 s."""

LOADS: dict[str, float | None] = {"idle": None, "1 change/min": 60.0, "10 changes/s": 0.1}
"""How often something changes: each so many seconds, or never."""


def count(requests: Iterable[Seen]) -> Requests:
    """Return how many of *requests* there are of each kind."""
    puts = lists = gets = 0
    for seen in requests:
        if seen.method == "PUT":
            puts += 1
        elif "list-type" in seen.path:
            lists += 1
        elif seen.method in {"GET", "HEAD"}:
            gets += 1
    return Requests(puts, lists, gets)


class CountingStore(DirectoryStore):
    """A directory that counts what S3 would be asked; *asked* is that."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked = Requests()

    def create(self, name: str, body: bytes) -> None:
        """Store, and count a PUT."""
        self.asked += Requests(puts=1)
        super().create(name, body)

    def replace(self, name: str, old: bytes | None, new: bytes) -> None:
        """Replace, and count a PUT."""
        self.asked += Requests(puts=1)
        super().replace(name, old, new)

    def get(self, name: str) -> bytes:
        """Return the object, and count a GET."""
        self.asked += Requests(gets=1)
        return super().get(name)

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the names, and count a LIST for each thousand begun."""
        for place, name in enumerate(super().names(prefix, after)):
            if place % _NAMES_A_LIST == 0:
                self.asked += Requests(lists=1)
            yield name
