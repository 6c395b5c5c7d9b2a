"""Decrypt a replicator archive without replicator: copy it, each object opened, to another directory.

    python3 open_sealed.py KEYFILE FROM TO

It knows nothing of replicator's code; ../format.md explains each step. It needs the package cryptography.
Keys of KMS (kind 2) are opened by `aws kms decrypt` instead.
"""

import base64
import hashlib
import re
import sys
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def keys(path):
    """Return the keys of a key file by their ids."""
    found = {}
    for line in path.read_text().splitlines():
        if text := line.partition("#")[0].strip():
            key = bytes.fromhex(text) if re.fullmatch("[0-9a-fA-F]{64}", text) else base64.b64decode(text)
            found[hashlib.sha256(b"replicator key id" + key).digest()[:8]] = key
    return found


def unsealed(body, name, known):
    """Return the object that is sealed in *body* under *name*."""
    if body[:8] != b"RPLSEAL\x01":
        return body
    start = 11 + int.from_bytes(body[9:11], "big")
    header, nonce, rest = body[:start], body[start : start + 12], body[start + 12 :]
    kind, token = header[8], header[11:]
    if kind != 1 or token not in known:
        sys.exit(f"{name} wants the key {token.hex()} of kind {kind}")
    return AESGCM(known[token]).decrypt(nonce, rest, header + name.encode())


source, target = Path(sys.argv[2]), Path(sys.argv[3])
for path in sorted(source.rglob("*.json*")):
    place = target / path.relative_to(source)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(unsealed(path.read_bytes(), str(path.relative_to(source)), keys(Path(sys.argv[1]))))
