"""Trying out what an archive's store is asked for, on an object of no meaning."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.errors import ObjectExists, ObjectMissing, StoreMisconfigured

if TYPE_CHECKING:
    from replicator.ports import ObjectStore

_FIRST = b"first\n"
_SECOND = b"second\n"


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
