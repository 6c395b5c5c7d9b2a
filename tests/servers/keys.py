"""Keys to encrypt with, and a KMS: moto's, which the S3 server of the tests serves as well."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import boto3

from replicator.adapters.key_file import FileKeys
from replicator.core.sealing import file_key

if TYPE_CHECKING:
    from pathlib import Path

    from replicator.core.sealing import SealingKey

OLD_SECRET = b"an old secret key of 32 bytes..."
SECRET = b"this-is-secret-0 padded to 32 by"
"""The bytes of the key that tests encrypt with; `Complaint.SECRET` is in them."""


def keys(*secrets: bytes) -> FileKeys:
    """Return a keyring of *secrets*, the one that seals first; without any, of `SECRET`."""
    return FileKeys(map(file_key, secrets or (SECRET,)))


def some_key(secret: bytes = SECRET) -> SealingKey:
    """Return the key *secret*."""
    return file_key(secret)


def key_file(path: Path, *secrets: bytes) -> Path:
    """Write a key file of *secrets*, mode 0600; return its path."""
    lines = ["# keys of the tests", *(base64.b64encode(secret).decode() for secret in secrets or (SECRET,))]
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n")
    return path


def kms_key(endpoint: str) -> str:
    """Return the id of a fresh key of the KMS at *endpoint*."""
    client = boto3.client(
        "kms",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="some-id",
        aws_secret_access_key="some-secret",
    )
    key_id: str = client.create_key()["KeyMetadata"]["KeyId"]
    return key_id
