"""The kinds of text that settings hold beyond plain text: secrets, addresses, key prefixes.

A parser's error shows what was written, unless it might hold a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NewType
from urllib.parse import SplitResult, quote, unquote, urlsplit

from replicator.errors import UsageError

Bytes = NewType("Bytes", int)
"""A size."""

Endpoint = NewType("Endpoint", str)
"""``http://host:port`` or ``https://host:port``, without anything after the port."""

HttpUrl = NewType("HttpUrl", str)
"""``http://`` or ``https://``, a host, and maybe more."""

Share = NewType("Share", float)
"""A part of a whole, from 0 to 1; written ``50%``."""

KeyPrefix = NewType("KeyPrefix", str)
"""What all keys of a source begin with, byte for byte: a leading ``/``, and something behind it."""

_ARCHIVE_HINT: Final = "write s3://bucket/path, or file:///absolute/path"
_LISTEN: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})", re.ASCII)
_LAST_PORT: Final = 65535
_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]+)?)%", re.ASCII)
_WHOLE: Final = 100
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", re.ASCII)


class Secret:
    """A text that is shown to nobody: `reveal` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(...)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True, slots=True)
class ArchiveUrl:
    """Where an archive is: a directory, or a bucket and the path in it.

    Attributes:
        bucket: The bucket of S3; empty for a directory.
        path: The directory's absolute path; or what S3's keys begin with, without ``/`` at either end,
            and maybe empty.
    """

    bucket: str
    path: str

    @classmethod
    def parse(cls, text: str) -> ArchiveUrl:
        """Return the place that *text* names: ``s3://bucket/path`` or ``file:///absolute/path``.

        Raises:
            UsageError: *text* names none.
        """
        if text.startswith("/"):
            raise UsageError(f'"{text}" is a path, not a URL', hint=f"write file://{quote(text)}")
        parts = _split(text, "archive")
        if parts.scheme == "file":
            return _directory(text, parts)
        if parts.scheme == "s3":
            return _bucket(text, parts)
        raise UsageError(f'"{text}" is no place for an archive', hint=_ARCHIVE_HINT)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.path}".rstrip("/") if self.bucket else f"file://{quote(self.path)}"


def _directory(text: str, parts: SplitResult) -> ArchiveUrl:
    path = unquote(parts.path).rstrip("/")
    if parts.netloc:
        raise UsageError(f'"{text}" names a host: a directory has none', hint=f"write file:///{text[7:]}")
    if not path.startswith("/") or "\0" in path:
        raise UsageError(f'"{text}" is no absolute path', hint=_ARCHIVE_HINT)
    return ArchiveUrl(bucket="", path=path)


def _bucket(text: str, parts: SplitResult) -> ArchiveUrl:
    path = parts.path.strip("/")
    if not _BUCKET.fullmatch(parts.netloc):
        raise UsageError(f'"{text}" has no bucket that S3 could have', hint=_ARCHIVE_HINT)
    if path and {"", ".", ".."}.intersection(path.split("/")):
        raise UsageError(f'"{text}" has an empty or a dotted part in its path', hint=_ARCHIVE_HINT)
    return ArchiveUrl(bucket=parts.netloc, path=path)


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen at: a host, without brackets, and a port, 0 for any that is free."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Return the address that *text* names: ``127.0.0.1:9465``, ``[::1]:9465``, ``0.0.0.0:9465``.

        Raises:
            UsageError: *text* names none.
        """
        match = _LISTEN.fullmatch(text)
        if match is None or int(match[2]) > _LAST_PORT:
            raise UsageError(f'"{text}" is no address to listen at', hint="write it like 127.0.0.1:9465")
        return cls(match[1].strip("[]"), int(match[2]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """Return the server's address, without a trailing ``/``.

    Raises:
        UsageError: *text* is no ``http://`` or ``https://`` URL of a host and a port, and only that.
    """
    hint = "write it like http://127.0.0.1:2379"
    parts = _http(text, hint)
    if parts.port is None or parts.path not in ("", "/"):
        raise UsageError(f'"{text}" must have a host and a port, and nothing behind them', hint=hint)
    return Endpoint(f"{parts.scheme}://{parts.netloc}")


def parse_http_url(text: str) -> HttpUrl:
    """Return the URL, without a trailing ``/``.

    Raises:
        UsageError: *text* is no ``http://`` or ``https://`` URL.
    """
    _http(text, "write it like https://s3.example.com:9000")
    return HttpUrl(text.rstrip("/"))


def parse_key_prefix(text: str) -> KeyPrefix:
    """Return the prefix as it is: a ``/`` at its end counts, as it does to etcd.

    Raises:
        UsageError: *text* doesn't begin with ``/``, or is nothing else.
    """
    if not text.startswith("/") or not text.strip("/"):
        raise UsageError(
            f'"{text}" is no prefix: it must begin with "/" and go on', hint="APISIX's own is /apisix"
        )
    return KeyPrefix(text)


def parse_share(text: str) -> Share:
    """Return the part that *text* names: ``0%`` to ``100%``.

    Raises:
        UsageError: *text* names none.
    """
    match = _SHARE.fullmatch(text)
    if match is None or float(match[1]) > _WHOLE:
        raise UsageError(f'"{text}" is no share', hint="write it like 50%")
    return Share(float(match[1]) / _WHOLE)


def _http(text: str, hint: str) -> SplitResult:
    parts = _split(text, "address")
    try:
        served = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or too large a one
        served = False
    if not served:
        raise UsageError(f'"{text}" is no http:// or https:// address', hint=hint)
    return parts


def _split(text: str, what: str) -> SplitResult:
    if "@" in text:
        raise UsageError(
            f"the {what} has an @ in it", hint="user names and passwords have settings of their own"
        )
    try:
        parts = urlsplit(text)
    except ValueError:  # a bracket without its other half
        raise UsageError(f'"{text}" is no {what}') from None
    if parts.query or parts.fragment or any(character.isspace() for character in text):
        raise UsageError(f'"{text}" has a blank, "?" or "#" in it', hint="write %20, %3F or %23")
    return parts
