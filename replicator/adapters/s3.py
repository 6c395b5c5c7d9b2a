"""An archive in an S3 bucket, on AWS or any service with conditional writes."""

from __future__ import annotations

import functools
import threading
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import boto3
from botocore.config import Config

from replicator.adapters.object_names import check_name, is_name, longest_bytes, too_long
from replicator.adapters.retrying import Retrying
from replicator.adapters.s3_errors import DRIVER_ERRORS, PreconditionFailed, translated
from replicator.errors import (
    ObjectChanged,
    ObjectExists,
    ObjectMissing,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from mypy_boto3_s3 import S3Client

_T = TypeVar("_T")
_CONNECTIONS = 32
_one_makes_it = threading.Lock()


@dataclass(frozen=True, slots=True)
class S3Options:
    """How to reach the service. What is None comes from the AWS chain; no secret shows in its repr.

    Args:
        endpoint: URL of a service other than AWS.
        region: The bucket's region.
        use_path_style: Whether the bucket is named in the path, not in the host.
        access_key: Access key id; goes with *secret_key*.
        secret_key: Secret access key.
        sse_kms_key_id: KMS key that each object is encrypted with.
        timeout_seconds: How long to wait for a connection, and for each next byte of an answer.
    """

    endpoint: str | None = None
    region: str | None = None
    use_path_style: bool = False
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    sse_kms_key_id: str | None = None
    timeout_seconds: float = 5.0


class _Object(NamedTuple):
    body: bytes
    etag: str


class S3Store:
    """The `ObjectStore` below *prefix* in *bucket*.

    Each call is one request at a time, tried again while its fault may pass. An object is one PUT, so at most
    5 GiB.

    Args:
        bucket: The bucket's name; it must exist.
        prefix: The archive's place in it, with ``/`` between parts; empty for the whole bucket.
        options: How to reach the service.
        retrying: How long to go on, and whom to tell.
    """

    def __init__(
        self, bucket: str, prefix: str, options: S3Options, retrying: Retrying | None = None
    ) -> None:
        self._bucket = bucket
        self._root = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._options = options
        self._retrying = retrying or Retrying()
        self._unquoted: bool | None = None  # what the service's If-Match wants; not known yet

    def __str__(self) -> str:
        return f"s3://{self._bucket}/{self._root}".rstrip("/")

    def create(self, name: str, body: bytes) -> None:
        """Store *body* under *name*, once: see `ObjectStore.create`.

        "Precondition failed" may be the answer to our own second attempt: the bytes settle it.
        """

        def attempt(_number: int) -> None:
            try:
                self._put(name, body, IfNoneMatch="*")
            except PreconditionFailed:
                held = self._held(name)
                if held is None:
                    raise StoreUnavailable(f"{name} was deleted while it was created") from None
                if held.body != body:
                    raise ObjectExists(name) from None

        self._retrying("create", name, attempt)

    def get(self, name: str) -> bytes:
        """Return the whole object: see `ObjectStore.get`."""
        return self._retrying("get", name, lambda _: self._read(name).body)

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield names in byte order, a page of a thousand at a time: see `ObjectStore.names`.

        A page asks for what follows the last key, not by a token: that can't expire under a slow reader.
        """
        start, more = self._root + after, True
        while more:
            keys, more = self._page(prefix, start)
            for key in keys:
                start = key
                if is_name(name := key.removeprefix(self._root)):
                    yield name

    def delete(self, name: str) -> None:
        """Remove the object; that there is none is no error."""

        def attempt(_number: int) -> None:
            with suppress(ObjectMissing):
                self._send(name, lambda s3: s3.delete_object(Bucket=self._bucket, Key=self._key(name)))

        self._retrying("delete", name, attempt)

    def replace(self, name: str, old: bytes | None, new: bytes) -> None:
        """Swap *old* for *new*: see `ObjectStore.replace`.

        An attempt without an answer may have won, so a later one that finds *new* is content: it takes bytes
        that no other writer would write, such as those that hold a writer's id, to be certain. One that finds
        others can't tell whether *new* was there for a moment.
        """

        def attempt(number: int) -> None:
            held = self._held(name)
            if number > 1 and _body(held) == new:
                return
            if _body(held) != old:
                raise ObjectChanged(name)
            try:
                self._put_over(held, name, new)
            except (ObjectMissing, PreconditionFailed):  # a missing key is 404 on AWS, 412 on Ceph
                if number == 1 or _body(self._held(name)) != new:
                    raise ObjectChanged(name) from None

        self._retrying("replace", name, attempt)

    def _put_over(self, held: _Object | None, name: str, body: bytes) -> None:
        """Write *body* if the object still is what was *held*; ObjectMissing or PreconditionFailed if not."""
        if held is None:
            self._put(name, body, IfNoneMatch="*")
        elif self._unquoted is None:
            self._learn_quoting(held, name, body)
        else:
            self._put(name, body, IfMatch=held.etag.strip('"') if self._unquoted else held.etag)

    def _learn_quoting(self, held: _Object, name: str, body: bytes) -> None:
        """Write as `_put_over` does: AWS documents ETags with their quotes, Ceph takes them only without."""
        try:
            self._put(name, body, IfMatch=held.etag)
            self._unquoted = False
        except PreconditionFailed:
            self._put(name, body, IfMatch=held.etag.strip('"'))
            self._unquoted = True

    def _put(self, name: str, body: bytes, **condition: str) -> None:
        arguments: Any = dict(condition)
        if self._options.sse_kms_key_id is not None:
            arguments |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._options.sse_kms_key_id}
        self._send(
            name,
            lambda s3: s3.put_object(Bucket=self._bucket, Key=self._key(name), Body=body, **arguments),
        )

    def _read(self, name: str) -> _Object:
        def receive(s3: S3Client) -> _Object:
            answer = s3.get_object(Bucket=self._bucket, Key=self._key(name))
            longest = longest_bytes(name)
            with closing(answer["Body"]) as body:
                if longest is not None and answer.get("ContentLength", 0) > longest:
                    raise too_long(name)
                return _Object(body.read(), answer["ETag"])

        return self._send(name, receive)

    def _held(self, name: str) -> _Object | None:
        try:
            return self._read(name)
        except ObjectMissing:
            return None

    def _page(self, prefix: str, start: str) -> tuple[list[str], bool]:
        """Return the keys that follow *start*, and whether there are more."""
        page = self._retrying(
            "list",
            prefix,
            lambda _: self._send(
                prefix,
                lambda s3: s3.list_objects_v2(
                    Bucket=self._bucket, Prefix=self._root + prefix, StartAfter=start
                ),
            ),
        )
        return [item["Key"] for item in page.get("Contents", [])], page["IsTruncated"]

    def _key(self, name: str) -> str:
        return self._root + check_name(name)

    def _send(self, name: str, request: Callable[[S3Client], _T]) -> _T:
        try:
            return request(_client(self._options))
        except DRIVER_ERRORS as error:
            raise translated(error, f"s3://{self._bucket}/{self._root}{name}") from error


def _body(held: _Object | None) -> bytes | None:
    return None if held is None else held.body


def _client(options: S3Options) -> S3Client:
    """Return the one client of *options*. Threads share it, and stores; the first call makes it, in 0.2 s."""
    with _one_makes_it:
        return _new_client(options)


@functools.cache
def _new_client(options: S3Options) -> S3Client:
    """Return a client that makes one attempt a call, and can be shared by threads."""
    return boto3.session.Session().client(
        "s3",
        endpoint_url=options.endpoint,
        region_name=options.region,
        aws_access_key_id=options.access_key,
        aws_secret_access_key=options.secret_key,
        config=Config(
            connect_timeout=options.timeout_seconds,
            read_timeout=options.timeout_seconds,
            retries={"total_max_attempts": 1},
            max_pool_connections=_CONNECTIONS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if options.use_path_style else "auto"},
        ),
    )
