"""Data keys from AWS KMS: each wrapped in the header of the objects that it seals."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from replicator.adapters.retrying import Retrying
from replicator.adapters.s3_errors import DRIVER_ERRORS, translated
from replicator.core.sealing import KeyKind, Reference, SealingKey
from replicator.errors import KeyMissing, StoreMisconfigured, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from replicator.ports import Keys

_T = TypeVar("_T")

# Bound to each data key: a policy can demand it, and a key of another purpose doesn't open under it.
_CONTEXT: Final = {"purpose": "replicator-archive"}
_OBJECTS_PER_KEY = 1 << 20  # far below 2**32, where random nonces begin to repeat
_CACHED_KEYS = 4096
_FOREIGN = {"IncorrectKeyException", "InvalidCiphertextException", "NotFoundException"}
_ACCESS = "grant kms:GenerateDataKey and kms:Decrypt on the key, and see that it is enabled"


@dataclass(frozen=True, slots=True)
class KmsOptions:
    """How to reach KMS; what is None comes from the AWS chain, and no secret shows in a repr.

    Args:
        key_id: The key that wraps data keys: its id, ARN or alias.
        old_key_ids: Keys that wrapped data keys of older objects.
        endpoint: URL of a service other than AWS's.
        region: The key's region, if its id isn't an ARN, which says it.
        access_key: Access key id; goes with *secret_key*.
        secret_key: Secret access key.
    """

    key_id: str
    old_key_ids: tuple[str, ...] = ()
    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)


class KmsKeys:
    """The `Keys` that KMS wraps. A process asks for one data key, and for each that it meets, once.

    Args:
        options: Which keys, and how to reach them.
        others: Keys that open what KMS didn't wrap.
        retrying: How long to go on, and whom to tell.
    """

    def __init__(self, options: KmsOptions, others: Keys, retrying: Retrying | None = None) -> None:
        self._options = options
        self._others = others
        self._retrying = retrying or Retrying()
        self._lock = threading.Lock()
        self._client: Any = None
        self._newest: SealingKey | None = None
        self._sealed = 0
        self._opened: dict[Reference, SealingKey] = {}

    def newest(self) -> SealingKey:
        """Return this process's data key: see `Keys.newest`."""
        with self._lock:
            if self._newest is None or self._sealed >= _OBJECTS_PER_KEY:
                self._newest, self._sealed = self._generated(), 0
            self._sealed += 1
            return self._newest

    def find(self, reference: Reference, name: str) -> SealingKey:
        """Return the data key that *reference* holds, unwrapped: see `Keys.find`."""
        if reference.kind is not KeyKind.KMS:
            return self._others.find(reference, name)
        with self._lock:
            if reference not in self._opened:
                if len(self._opened) >= _CACHED_KEYS:
                    self._opened.clear()
                self._opened[reference] = self._unwrapped(reference, name)
            return self._opened[reference]

    def _generated(self) -> SealingKey:
        answer = self._ask(
            "GenerateDataKey",
            lambda kms: kms.generate_data_key(
                KeyId=self._options.key_id, KeySpec="AES_256", EncryptionContext=_CONTEXT
            ),
        )
        key = SealingKey(Reference(KeyKind.KMS, answer["CiphertextBlob"]), answer["Plaintext"])
        self._opened[key.reference] = key
        return key

    def _unwrapped(self, reference: Reference, name: str) -> SealingKey:
        """Ask for each key by name: KMS alone would take any that somebody has shared with us."""
        key_ids = (self._options.key_id, *self._options.old_key_ids)
        refused: StoreMisconfigured | None = None
        for key_id in key_ids:
            try:
                return SealingKey(reference, self._decrypted(reference.token, key_id))
            except _ForeignKey:
                continue
            except StoreMisconfigured as error:  # one of several keys may be out of our reach
                refused = error
        raise refused or KeyMissing(
            f"{name} is encrypted with a data key that none of these KMS keys has wrapped: "
            f"{', '.join(key_ids)}",
            hint="name the key that did in `encryption.kms_old_key_ids`, or the object's header is damaged",
        )

    def _decrypted(self, wrapped: bytes, key_id: str) -> bytes:
        def request(kms: Any) -> bytes:
            answer = kms.decrypt(CiphertextBlob=wrapped, KeyId=key_id, EncryptionContext=_CONTEXT)
            secret: bytes = answer["Plaintext"]
            return secret

        return self._ask("Decrypt", request)

    def _ask(self, operation: str, request: Callable[[Any], _T]) -> _T:
        def attempt(_number: int) -> _T:
            try:
                self._client = self._client or _new_client(self._options)
                return request(self._client)
            except DRIVER_ERRORS as error:
                raise _meaning(error, operation) from error

        return self._retrying("kms", operation, attempt)


class _ForeignKey(Exception):
    """KMS has such a key, and it isn't the one that wrapped this."""


def _meaning(error: Exception, operation: str) -> Exception:
    code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
    if operation == "Decrypt" and code in _FOREIGN:
        return _ForeignKey(operation)
    meant = translated(error, f"KMS {operation}")
    if code == "ThrottlingException":
        return StoreUnavailable(str(meant), hint="wait; KMS is asked too much")
    if isinstance(meant, StoreMisconfigured):
        return StoreMisconfigured(str(meant), hint=_ACCESS)
    if isinstance(meant, StoreUnavailable):
        return StoreUnavailable(str(meant), hint="check `encryption.kms_endpoint`, and the network there")
    return StoreMisconfigured(f"KMS {operation}: {code}", hint=_ACCESS)


def _region(key_id: str) -> str | None:
    """Return the region that an ARN names: ``arn:aws:kms:REGION:...``."""
    parts = key_id.split(":")
    return parts[3] if parts[0] == "arn" and len(parts) > 5 else None


def _new_client(options: KmsOptions) -> Any:
    return boto3.session.Session().client(
        "kms",
        endpoint_url=options.endpoint,
        region_name=_region(options.key_id) or options.region,
        aws_access_key_id=options.access_key,
        aws_secret_access_key=options.secret_key,
        config=Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 1}),
    )
