"""Decrypt the plugin fields that a gateway stores encrypted in etcd, and encrypt them as it does.

A field is the base64 of AES-CBC with PKCS#7 padding; key and initialisation vector are the same
(a 32-byte key gives its first 16 bytes as the vector). No mark tells an encrypted text from a plain one:
APISIX tries every key, and what none opens it takes for plain.

Sources: apisix/core/data_encryption.lua, ngx.decode_base64, OpenSSL's EVP_DecryptFinal_ex.
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY_BYTES: Final = (16, 32)
BLOCK_BYTES: Final = 16

_BASE64 = re.compile(r"[A-Za-z0-9+/]*")


class Keyring:
    """The keys of one gateway, in the order in which it tries them. An empty one opens nothing."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = list(keys)
        self._ciphers = [_Cipher(key) for key in self._keys]

    def __bool__(self) -> bool:
        return bool(self._ciphers)

    def decrypt(self, text: str) -> str:
        """Return what *text* encrypts, or *text* itself if no key opens it.

        A result that is no UTF-8 has its odd bytes as surrogates, as in `replicator.apisix.cjson`.
        """
        if data := _whole_blocks(text):
            for cipher in self._ciphers:
                plain = cipher.decrypt(data)
                if plain is not None:
                    return plain.decode("utf-8", "surrogateescape")
        return text

    def encrypt(self, text: str) -> str:
        """Return *text* as a gateway stores it: encrypted with the first key; itself, if there is none."""
        if not self._keys:
            return text
        key, plain = self._keys[0], text.encode("utf-8", "surrogateescape")
        padding = BLOCK_BYTES - len(plain) % BLOCK_BYTES
        cipher = Cipher(algorithms.AES(key), modes.CBC(key[:BLOCK_BYTES])).encryptor()
        data = cipher.update(plain + bytes([padding]) * padding) + cipher.finalize()
        return binascii.b2a_base64(data, newline=False).decode()


class Opener:
    """Opens the fields of one item, and counts in `unopened` those that look encrypted and that no key opens.

    To look encrypted proves nothing: it is base64 of whole blocks, and so may a plain secret be.
    """

    def __init__(self, keyring: Keyring) -> None:
        self.unopened = 0
        self._keyring = keyring

    def __call__(self, text: str) -> str:
        """Return what *text* encrypts, or *text* itself: see `Keyring.decrypt`."""
        plain = self._keyring.decrypt(text)
        if plain is text and _whole_blocks(text):
            self.unopened += 1
        return plain


class _Cipher:
    """AES-CBC under one key.

    CBC is built here from the bare block cipher, which keeps no state: one context serves every text,
    where a CBC context per text and key would cost more than the decryption.
    """

    def __init__(self, key: bytes) -> None:
        self._blocks = Cipher(algorithms.AES(key), modes.ECB()).decryptor().update  # noqa: S305 (see above)
        self._vector = key[:BLOCK_BYTES]

    def decrypt(self, data: bytes) -> bytes | None:
        """Return the plain bytes of *data*, one or more whole blocks; None if the padding is wrong."""
        masks = self._vector + data[:-BLOCK_BYTES]
        last = _xor(self._blocks(data[-BLOCK_BYTES:]), masks[-BLOCK_BYTES:])
        padding = last[-1]
        if not 1 <= padding <= BLOCK_BYTES or last[-padding:] != last[-1:] * padding:
            return None
        return _xor(self._blocks(data), masks)[:-padding]


def _whole_blocks(text: str) -> bytes:
    """Return the bytes of *text* if they are such as encryption makes; else none."""
    data = _from_base64(text) or b""
    return b"" if len(data) % BLOCK_BYTES else data


def _from_base64(text: str) -> bytes | None:
    """Return the bytes of *text* up to its first ``=``; None if nginx takes it for no base64."""
    digits = text.partition("=")[0]
    if len(digits) % 4 == 1 or not _BASE64.fullmatch(digits):
        return None
    return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))


def _xor(one: bytes, other: bytes) -> bytes:
    number = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    return number.to_bytes(len(one), "big")
