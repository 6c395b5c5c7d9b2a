"""Files in the words of etcd: a file is a key, its bytes its value, and what differs the next revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from replicator.core.records import Event, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from replicator.core.state import State

FILES: Final = "file:"
"""The prefix of an archive of files: a key is this and the file's absolute path."""


def key_of(path: str) -> bytes:
    """Return the key of the file at *path*."""
    return f"{FILES}{path}".encode()


def path_of(key: bytes) -> str:
    """Return the path of the file that *key* stands for."""
    return key.decode(errors="surrogateescape").removeprefix(FILES)


def changes(state: State, contents: Mapping[str, bytes | None]) -> tuple[Event, ...]:
    """Return what leads from *state* to *contents* in one revision, the one after it; maybe nothing.

    Args:
        state: All files as they were recorded.
        contents: Each file's bytes by its path, None for one whose bytes aren't known: it stays as it is.
            A file that isn't among them is gone.
    """
    before = dict(state.items())
    now = {key_of(path): value for path, value in contents.items()}
    return tuple(_events(before, now, state.revision + 1))


def _events(
    before: Mapping[bytes, Record], now: Mapping[bytes, bytes | None], revision: int
) -> Iterator[Event]:
    for key in sorted(before.keys() | now.keys()):
        old = before.get(key)
        if key not in now:
            yield Event(key, None)
            continue
        value = now[key]
        if value is not None and (old is None or old.value != value):
            yield Event(key, _put(old, value, revision))


def _put(old: Record | None, value: bytes, revision: int) -> Record:
    if old is None:
        return Record(value, revision, revision, 1, 0)
    return Record(value, old.create_revision, revision, old.version + 1, 0)
