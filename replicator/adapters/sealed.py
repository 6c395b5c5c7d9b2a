"""Client-side encryption: every object of a store is sealed on its way in, and opened on its way out."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from replicator.core import sealing
from replicator.errors import (
    ArchiveDamaged,
    NotSealed,
    ObjectChanged,
    ObjectExists,
    ObjectMissing,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.ports import Keys, ObjectStore


class SealedStore:
    """The `ObjectStore` whose objects lie encrypted in *inner*; to its users they are plain.

    `get` may raise KeyMissing and ArchiveDamaged as well, the latter also of an object that isn't encrypted:
    whoever may write to *inner* could else slip in what nobody with a key has written.

    Args:
        inner: Where the sealed objects are.
        keys: What seals and opens them.
        allow_plaintext: Whether objects that aren't encrypted are read as they are.
    """

    def __init__(self, inner: ObjectStore, keys: Keys, *, allow_plaintext: bool = False) -> None:
        self._inner = inner
        self._keys = keys
        self._allow_plaintext = allow_plaintext

    def __str__(self) -> str:
        return str(self._inner)

    def create(self, name: str, body: bytes) -> None:
        """Store *body* under *name*, once: see `ObjectStore.create`.

        The same object sealed twice is never the same bytes, so what holds the name is opened and compared.
        """
        try:
            self._inner.create(name, self._seal(name, body))
        except ObjectExists:
            if self._held(name) != body:
                raise ObjectExists(name) from None

    def get(self, name: str) -> bytes:
        """Return the whole object: see `ObjectStore.get`, and the class."""
        return self._open(name, self._inner.get(name))

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield names, which aren't encrypted: see `ObjectStore.names`."""
        return self._inner.names(prefix, after)

    def delete(self, name: str) -> None:
        """Remove the object: see `ObjectStore.delete`."""
        self._inner.delete(name)

    def replace(self, name: str, old: bytes | None, new: bytes) -> None:
        """Swap *old* for *new*: see `ObjectStore.replace`."""
        held = None if old is None else self._matching(name, old)
        self._inner.replace(name, held, self._seal(name, new))

    def _matching(self, name: str, old: bytes) -> bytes:
        """Return the sealed bytes that hold *old*, for *inner* to compare with."""
        try:
            held = self._inner.get(name)
            if self._open(name, held) == old:
                return held
        except (ObjectMissing, ArchiveDamaged):
            pass
        raise ObjectChanged(name)

    def _held(self, name: str) -> bytes | None:
        """Return what holds a taken name; None if nobody with a key has written it."""
        try:
            return self.get(name)
        except ArchiveDamaged:
            return None
        except ObjectMissing:
            raise StoreUnavailable(f"{name} was deleted while it was created") from None

    def _seal(self, name: str, body: bytes) -> bytes:
        key = self._keys.newest()
        if key is None:
            return body
        return sealing.seal(key, secrets.token_bytes(sealing.NONCE_BYTES), name, body)

    def _open(self, name: str, body: bytes) -> bytes:
        if sealing.is_sealed(body):
            return sealing.unseal(self._keys.find(sealing.reference_of(body, name), name), name, body)
        if not self._allow_plaintext:
            raise NotSealed(
                f"{name} isn't encrypted, and a key is configured: anybody may have put it there",
                hint="if this archive was begun without encryption, set `encryption.allow_plaintext: true`",
            )
        return body
