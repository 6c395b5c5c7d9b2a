"""Fields as APISIX stores them, made by another hand than the one that opens them."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7


def encrypted(text: str, key: bytes) -> str:
    """Return *text* as APISIX stores it: AES-CBC, PKCS#7, its key as its initial vector, base64."""
    padder = PKCS7(128).padder()
    encryptor = Cipher(AES(key), CBC(key)).encryptor()
    padded = padder.update(text.encode()) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()
