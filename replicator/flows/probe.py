"""Trying out what an archive's store is asked for, on an object of no meaning."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from replicator.errors import ObjectChanged, ObjectExists, ObjectMissing, StoreMisconfigured, StoreUnavailable

if TYPE_CHECKING:
    from replicator.ports import ObjectStore

_FIRST = b"first\n"
_SECOND = b"second\n"
_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Probe:
    """What a store was seen to do.

    Args:
        conditional_create: A taken name kept its object. Without it two writers destroy each other's log.
        returns_bytes: What was created came back as it was.
        lists: The object's name was listed.
        deletes: The object was gone after its deletion.
    """

    conditional_create: bool
    returns_bytes: bool
    lists: bool
    deletes: bool


def probe(store: ObjectStore, token: str) -> Probe:
    """Create, read, list and delete the object ``probe/<token>`` of *store*; return what came of it.

    Args:
        store: The store to try.
        token: A part of a name that nobody has used before.

    Raises:
        StoreUnavailable: It couldn't be tried; what was created may have stayed.
    """
    name = f"probe/{token}"
    store.create(name, _FIRST)
    try:
        returns_bytes = store.get(name) == _FIRST
        conditional = _refuses(store, name)
        listed = name in store.names(name)
    finally:
        with suppress(StoreMisconfigured):  # a writer that may not delete is one that can't destroy either
            store.delete(name)
    return Probe(conditional, returns_bytes, listed, deletes=_is_gone(store, name))


def probe_swap(store: ObjectStore, token: str) -> Literal["kept", "ignored", "refused"]:
    """Swap the object ``probe/<token>`` of *store*; return what becomes of the condition "if it still is so".

    An adapter may compare by itself before it asks, so a store that ignores the condition shows only where
    two swap at the same moment: if both are told that they did it. That is tried several times.

    Args:
        store: The store to try.
        token: A part of a name that nobody has used before.

    Raises:
        StoreUnavailable: It couldn't be tried; what was created may have stayed.
    """
    name = f"probe/{token}"
    store.create(name, _FIRST)
    try:
        try:
            store.replace(name, _FIRST, _SECOND)
        except StoreUnavailable:
            return "refused"
        with suppress(ObjectChanged):
            store.replace(name, _FIRST, b"third\n")
            return "ignored"
        held = _SECOND
        for number in range(_ROUNDS):
            if _is_won_twice(store, name, held, number):
                return "ignored"
            held = store.get(name)
        return "kept"
    finally:
        with suppress(StoreMisconfigured):
            store.delete(name)


def _is_won_twice(store: ObjectStore, name: str, held: bytes, number: int) -> bool:
    """Let two swap *held* for bytes of their own at once; tell whether both were told that they did."""
    start = threading.Barrier(2)

    def swap(who: int) -> bool:
        start.wait()
        try:
            store.replace(name, held, b"%d of round %d\n" % (who, number))
        except ObjectChanged:
            return False
        return True

    with ThreadPoolExecutor(2, thread_name_prefix="probe") as pool:
        return all(pool.map(swap, range(2)))


def _refuses(store: ObjectStore, name: str) -> bool:
    with suppress(ObjectExists):
        store.create(name, _SECOND)
        return False
    return store.get(name) == _FIRST


def _is_gone(store: ObjectStore, name: str) -> bool:
    try:
        store.get(name)
    except ObjectMissing:
        return True
    return False
