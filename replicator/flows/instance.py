"""Read the instance configuration back: the files that an archive of files holds at a moment."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from replicator.core.file_changes import FILES, path_of
from replicator.core.plan import Latest
from replicator.errors import UsageError
from replicator.flows.open_archive import read_archive, read_epochs
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicator.core.documents import Archive
    from replicator.core.plan import Target
    from replicator.flows.restore import Restored
    from replicator.ports import ObjectStore

_CONFIG: Final = "config.yaml"


def latest_files(store: ObjectStore) -> dict[str, bytes]:
    """Return the files in *store* at their latest moment, by path; none if there is no archive yet.

    Raises:
        UsageError: The archive is etcd's.
        StoreUnavailable: The store doesn't answer.
        ArchiveDamaged: What is needed is missing, or isn't what was written.
    """
    return files_at(store, Latest())


def files_at(store: ObjectStore, target: Target) -> dict[str, bytes]:
    """Return the files in *store* at *target*, the last known ones in a gap; none if there is no archive yet.

    Raises:
        UsageError: The archive is etcd's.
        TargetNotRestorable: The archive doesn't cover the target.
        StoreUnavailable: The store doesn't answer.
        ArchiveDamaged: What is needed is missing, or isn't what was written.
    """
    archive = read_archive(store)
    if archive is None or not any(read_epochs(store)):
        return {}
    if not holds_files(archive):
        raise UsageError(
            f"{store} is no archive of files: it records the prefix {archive.prefix}",
            hint="instance.archive is for the files of instance.files; give etcd's history another place",
        )
    return files_of(restore(store, target, allow_gap=True))


def files_of(restored: Restored) -> dict[str, bytes]:
    """Return the files of a restored state, by path."""
    return {path_of(key): record.value for key, record in restored.state.items()}


def holds_files(archive: Archive) -> bool:
    """Tell whether *archive* is one of files."""
    return archive.prefix == FILES


def config_file(files: Mapping[str, bytes]) -> bytes | None:
    """Return the bytes of APISIX's config.yaml among *files*, the first by path; None if there is none."""
    named = sorted(path for path in files if PurePosixPath(path).name == _CONFIG)
    return files[named[0]] if named else None
