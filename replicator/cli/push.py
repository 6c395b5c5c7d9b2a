"""``restore --push``: a moment's state for a gateway that takes its configuration by its Admin API."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from replicator.cli.words import say
from replicator.config import Secret
from replicator.errors import UsageError
from replicator.wiring import admin_api

if TYPE_CHECKING:
    from pathlib import Path

    from replicator.config import Settings


class Pushed(msgspec.Struct, frozen=True):
    """What ``--json`` says of a push.

    Attributes:
        url: The gateway's Admin API.
        sha256: Of what it is given, without the versions of the types.
        had: The same of what it had; empty if it had nothing.
        is_dry_run: Whether it was only asked.
    """

    url: str
    sha256: str
    had: str
    is_dry_run: bool


def push(url: str, key: Secret | None, chunks: list[bytes], *, is_dry_run: bool) -> Pushed:
    """Give the gateway at *url* the configuration *chunks*, and say so.

    Raises:
        GatewayFailed: It doesn't answer, or refuses.
    """
    target = admin_api(url, key)
    digest, had = hashlib.sha256(b"".join(chunks)).hexdigest(), target.digest()
    if had == digest:
        say(f"{url} has that already", err=True)
    elif is_dry_run:
        say(f"dry run: {url} would get {sum(map(len, chunks))} bytes; nothing was pushed", err=True)
    else:
        target.put(chunks)
        say(f"pushed to {url}", err=True)
    return Pushed(url, digest, had, is_dry_run)


def key_of(settings: Settings, file: Path | None) -> Secret | None:
    """Return the Admin API's key: that of *file*, else of the settings; None if there is none.

    Raises:
        UsageError: The file can't be read, or is empty.
    """
    if file is None:
        return settings.agent.push_key
    try:
        text = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(
            f"--push-key-file: can't read {file}: {why}", hint="a file with the key alone"
        ) from None
    if not text:
        raise UsageError(f"--push-key-file: {file} is empty", hint="a file with the key alone")
    return Secret(text)
