"""The envelope of an encrypted object: a header that names its key, then AES-256-GCM.

The object's name is authenticated with it, so that an object moved under another name doesn't open.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from replicator.core.frame import DAMAGE_HINT
from replicator.errors import ArchiveDamaged, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY_BYTES = 32
NONCE_BYTES = 12

_MARK = b"RPLSEAL"
_VERSION = b"\x01"
_FIXED_BYTES = len(_MARK) + len(_VERSION) + 1 + 2  # and the kind of key, and the reference's length
_TAG_BYTES = 16
_PIECE_BYTES = 1 << 26  # the library's calls take less than 2 GiB each, and objects may be larger


class KeyKind(IntEnum):
    """Where a key comes from: the byte that says it in the header."""

    FILE = 1
    KMS = 2


class Reference(NamedTuple):
    """What an envelope says of its key.

    Args:
        kind: Where the key comes from.
        token: The id of a key of a file, 8 bytes; or the data key as KMS has wrapped it.
    """

    kind: KeyKind
    token: bytes

    def __str__(self) -> str:
        if self.kind is KeyKind.FILE:
            return f"key {self.token.hex()}"
        return "a data key of KMS"


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A key of AES-256, which no repr shows, and what envelopes call it."""

    reference: Reference
    secret: bytes = field(repr=False)


def file_key(secret: bytes) -> SealingKey:
    """Return the key *secret*, 32 bytes of a key file; its id is the start of a hash of it."""
    token = hashlib.sha256(b"replicator key id" + secret).digest()[:8]
    return SealingKey(Reference(KeyKind.FILE, token), secret)


def is_sealed(body: bytes) -> bool:
    """Tell whether *body* begins as an envelope does; nothing else in an archive does."""
    return body.startswith(_MARK)


def seal(key: SealingKey, nonce: bytes, name: str, body: bytes) -> bytes:
    """Return the envelope of *body*.

    Args:
        key: What seals it.
        nonce: 12 random bytes that were never used before with this key.
        name: The object's name, which is not in the envelope and is needed to open it.
        body: The object; up to 64 GiB.
    """
    kind, token = key.reference
    header = _MARK + _VERSION + bytes([kind]) + len(token).to_bytes(2, "big") + token
    encryptor = Cipher(AES(key.secret), GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(header + name.encode())
    text = [encryptor.update(piece) for piece in _pieces(memoryview(body))]
    return b"".join([header, nonce, *text, encryptor.finalize(), encryptor.tag])


def reference_of(body: bytes, name: str) -> Reference:
    """Return what the envelope *body* says of its key; *name* is for the errors alone.

    Raises:
        ArchiveDamaged: It is no whole envelope.
        UsageError: A newer version of this program sealed it.
    """
    if body[: len(_MARK)] == _MARK and len(body) > len(_MARK) and body[len(_MARK) :][:1] != _VERSION:
        raise UsageError(
            f"{name} is encrypted in a way that this version doesn't know",
            hint="use the version of replicator that wrote it; if it is the same, the object is damaged",
        )
    length = int.from_bytes(body[_FIXED_BYTES - 2 : _FIXED_BYTES], "big")
    if len(body) < _FIXED_BYTES + length + NONCE_BYTES + _TAG_BYTES or not is_sealed(body):
        raise _damaged(name, "its encrypted form is cut off")
    try:
        kind = KeyKind(body[_FIXED_BYTES - 3])
    except ValueError:
        raise _damaged(name, "its encrypted form names no kind of key") from None
    return Reference(kind, body[_FIXED_BYTES : _FIXED_BYTES + length])


def unseal(key: SealingKey, name: str, body: bytes) -> bytes:
    """Return what the envelope *body* holds; *key* is the one that its `reference_of` asks for.

    Raises:
        ArchiveDamaged: Its bytes aren't those that were sealed under this name with this key.
    """
    start = _FIXED_BYTES + len(key.reference.token)
    nonce, tag = body[start : start + NONCE_BYTES], body[-_TAG_BYTES:]
    decryptor = Cipher(AES(key.secret), GCM(nonce, tag)).decryptor()
    decryptor.authenticate_additional_data(body[:start] + name.encode())
    sealed = memoryview(body)[start + NONCE_BYTES : -_TAG_BYTES]
    text = [decryptor.update(piece) for piece in _pieces(sealed)]
    try:
        return b"".join([*text, decryptor.finalize()])
    except InvalidTag:
        raise _damaged(name, f"it isn't what was encrypted under this name with {key.reference}") from None


def _pieces(body: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]


def _damaged(name: str, cause: str) -> ArchiveDamaged:
    return ArchiveDamaged(f"{name} is damaged: {cause}", hint=DAMAGE_HINT)
