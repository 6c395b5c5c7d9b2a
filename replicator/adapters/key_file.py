"""Keys of AES-256 in a file: a line each, in base64 or hexadecimal. The first seals, all open."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from replicator.core.sealing import KEY_BYTES, KeyKind, Reference, SealingKey, file_key
from replicator.errors import ArchiveDamaged, KeyMissing, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_HEX = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_LONGEST_FILE_BYTES = 1 << 20
_HINT = "give each key as a line of its own: 32 random bytes, as `openssl rand -base64 32` prints them"


class FileKeys:
    """The `Keys` of a key file.

    Args:
        keys: Them, the one that seals first; none at all for an archive that isn't encrypted.
    """

    def __init__(self, keys: Iterable[SealingKey] = ()) -> None:
        self._keys = {key.reference: key for key in keys}

    def newest(self) -> SealingKey | None:
        """Return the first key: see `Keys.newest`."""
        return next(iter(self._keys.values()), None)

    def find(self, reference: Reference, name: str) -> SealingKey:
        """Return the key of that id: see `Keys.find`."""
        key = self._keys.get(reference)
        if key is not None:
            return key
        if reference.kind is KeyKind.KMS:
            raise KeyMissing(
                f"{name} is encrypted with {reference}, and no KMS key is configured",
                hint="set `encryption.kms_key_id`",
            )
        if len(reference.token) != len(file_key(b"").reference.token):
            raise ArchiveDamaged(f"{name} is damaged: the id of its key has a wrong length")
        given = ", ".join(map(str, self._keys)) or "no key"
        raise KeyMissing(
            f"{name} is encrypted with {reference}; given: {given}",
            hint="name the file that holds it in `encryption.key_file` (REPLICATOR_ENCRYPTION_KEY_FILE)",
        )


def read_key_file(path: Path) -> tuple[SealingKey, ...]:
    """Return the keys in the file at *path*, at least one.

    Raises:
        UsageError: It can't be read, or holds no keys, or something else.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_FILE_BYTES).decode()
    except OSError as error:
        raise UsageError(
            f"can't read the key file {path}: {error.strerror}", hint="see `encryption.key_file`"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"the key file {path} isn't text", hint=_HINT) from None
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    keys = tuple(_key(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line)
    if not keys:
        raise UsageError(f"the key file {path} holds no key", hint=_HINT)
    return keys


def exposure(path: Path) -> str | None:
    """Return a sentence if others than the owner may read or change the file at *path*, else None."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return None  # reading it will tell
    if mode & 0o077 == 0:
        return None
    return f"the key file {path} is open to others (mode {mode:04o}): chmod 600 {path}"


def _key(line: str, place: str) -> SealingKey:
    """Return the key in *line*; an error shows nothing of it."""
    try:
        secret = bytes.fromhex(line) if _HEX.fullmatch(line) else base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise UsageError(f"{place}: neither base64 nor hexadecimal", hint=_HINT) from None
    if len(secret) != KEY_BYTES:
        raise UsageError(f"{place}: a key of {len(secret)} bytes, where it takes {KEY_BYTES}", hint=_HINT)
    return file_key(secret)
