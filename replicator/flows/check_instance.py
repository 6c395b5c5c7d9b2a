"""Try what the instance configuration needs, and whether the gateway's keyring is the one that is needed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from replicator.apisix import render
from replicator.core.plan import Latest
from replicator.core.quantities import format_time
from replicator.errors import UsageError
from replicator.flows.check import Finding, attempt_to, try_store
from replicator.flows.instance import holds_files
from replicator.flows.open_archive import read_archive, read_epochs
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicator.apisix import Options
    from replicator.core.state import State
    from replicator.ports import ObjectStore, Source

_NOBODYS: Final = bytes(16)  # a key that opens nothing, but for one text in 255 by chance


def check_files(source: Source | None, store_of: Callable[[], ObjectStore], token: str) -> Iterator[Finding]:
    """Yield what was found of the files and their archive, as it is found.

    Args:
        source: The files; None if none are to be recorded here.
        store_of: Gives the archive's store.
        token: A random name for the object that is written, read back and deleted.
    """
    if source is not None:
        yield attempt_to("files", lambda: _files(source))
    stored = attempt_to("files to", lambda: try_store(store_of(), token))
    yield stored
    if stored.failure is None:
        yield attempt_to("files in", lambda: _archive(store_of()))


def _files(source: Source) -> str:
    head = source.status().head
    sizes = [len(record.value) for _, record in source.read(head)]
    return f"{len(sizes)} can be read, {sum(sizes)} bytes"


def _archive(store: ObjectStore) -> str:
    archive = read_archive(store)
    if archive is None:
        return "no archive yet: `replicator run` makes it"
    if not holds_files(archive):
        raise UsageError(
            f"{store} is no archive of files: it records the prefix {archive.prefix}",
            hint="instance.archive is for the files of instance.files; give etcd's history another place",
        )
    return f"{archive.archive_id}, made {format_time(archive.created_at)}"


def check_keyring(store: ObjectStore, options_of: Callable[[], Options]) -> Iterator[Finding]:
    """Yield whether the gateway's keyring opens what the newest state in *store* holds encrypted.

    Nothing, if there is no archive yet, or it can't be read: others have told of that.
    """
    finding = attempt_to("keyring", lambda: _keyring(store, options_of()))
    if finding.said or finding.failure is not None:
        yield finding


def _keyring(store: ObjectStore, options: Options) -> str:
    archive = read_archive(store)
    if archive is None or holds_files(archive) or not any(read_epochs(store)):
        return ""
    if not options.keyring:
        return "empty: data encryption is off, and nothing is opened"
    state = restore(store, Latest()).state
    own = replace(options, prefix=archive.prefix.rstrip("/").encode())
    closed = _unopened(state, own)
    encrypted = {*closed, *_unopened(state, replace(own, keyring=(_NOBODYS,)))}
    if not encrypted:
        return "nothing to open: no item has a field that looks encrypted"
    if len(closed) == len(encrypted):
        raise UsageError(
            f"it opens none of the {len(encrypted)} items that look encrypted, such as {closed[0]}",
            hint="set apisix.keyring to the gateway's data_encryption.keyring, or record its config.yaml "
            "(instance.files); `[]` if its data encryption is off",
        )
    if closed:
        return f"opens {len(encrypted) - len(closed)} of {len(encrypted)} items; not {', '.join(closed[:3])}"
    return f"opens all {len(encrypted)} items with encrypted fields"


def _unopened(state: State, options: Options) -> tuple[str, ...]:
    """Return the items with a field that looks encrypted, and that no key of *options* opens."""
    return render(((key, record.value) for key, record in state.items()), options).report.unopened
