"""Get many objects side by side, in order, with only a few in memory at a time."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from replicator.errors import ArchiveDamaged

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from replicator.ports import ObjectStore

_SIDE_BY_SIDE = 8

Name = TypeVar("Name")
Read = TypeVar("Read")


class Unreadable(ArchiveDamaged):
    """The store itself can't give back the object *name*: it doesn't decrypt, say."""

    def __init__(self, name: object, damage: ArchiveDamaged) -> None:
        super().__init__(str(damage), hint=damage.hint)
        self.name = name


def fetch(store: ObjectStore, names: Iterable[Name]) -> Generator[tuple[Name, bytes]]:
    """Yield each of *names* with its object's bytes, in the order of *names*, which is read lazily.

    Raises:
        ObjectMissing: One of them isn't there.
        Unreadable: The store can't give one of them back.
    """
    return fetch_read(store, names, lambda _, body: body)


def fetch_read(
    store: ObjectStore,
    names: Iterable[Name],
    read: Callable[[Name, bytes], Read],
    at_once: int = _SIDE_BY_SIDE,
) -> Generator[tuple[Name, Read]]:
    """Yield each of *names* with what *read* makes of it and its bytes: in threads, *at_once* side by side.

    Raises:
        ObjectMissing: One of them isn't there.
        Unreadable: The store can't give one of them back, or *read* finds it damaged.
    """

    def done(name: Name) -> Read:
        return read(name, store.get(str(name)))

    waiting = iter(names)
    with ThreadPoolExecutor(at_once, thread_name_prefix="fetch") as pool:
        under_way = deque((name, pool.submit(done, name)) for name in islice(waiting, at_once))
        try:
            while under_way:
                name, body = under_way.popleft()
                try:
                    found = body.result()
                except ArchiveDamaged as damage:
                    raise Unreadable(name, damage) from None
                yield name, found
                under_way.extend((name, pool.submit(done, name)) for name in islice(waiting, 1))
        finally:
            for _, body in under_way:
                body.cancel()
