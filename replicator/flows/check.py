"""Try for real what a capture needs, one thing after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.core.quantities import format_time
from replicator.errors import ReplicatorError, StoreMisconfigured, UsageError
from replicator.flows.begin import holds_keys, question_prefix
from replicator.flows.open_archive import read_archive
from replicator.flows.probe import probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicator.ports import ObjectStore, Source


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried: what it *said*, or its *failure*."""

    what: str
    said: str
    failure: ReplicatorError | None = None


def check(source: Source, prefix: str, store: ObjectStore, token: str) -> Iterator[Finding]:
    """Yield what was found, as it is found; what rests on something that failed isn't tried.

    Args:
        source: The etcd.
        prefix: What is to be recorded.
        store: Where to.
        token: A random name for the object that is written, read back and deleted.
    """
    etcd = _try("etcd", lambda: _etcd(source))
    yield etcd
    if etcd.failure is None:
        yield _try("prefix", lambda: _prefix(source, prefix))
    place = _try("store", lambda: _store(store, token))
    yield place
    if place.failure is None:
        yield _try("archive", lambda: _archive(store, prefix))


def _try(what: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(what, attempt())
    except ReplicatorError as failure:
        return Finding(what, str(failure), failure)


def _etcd(source: Source) -> str:
    status = source.status()
    return f"version {status.version}, cluster {status.cluster_id}, at revision {status.head}"


def _prefix(source: Source, prefix: str) -> str:
    """A role that may not read the whole prefix fails here."""
    if holds_keys(source):
        return f"etcd holds keys under {prefix}"
    question_prefix(source, prefix)
    return "etcd holds no key yet: `replicator run` waits for the first"


def _store(store: ObjectStore, token: str) -> str:
    found = probe(store, token)
    broken = [
        promise
        for promise, is_kept in (
            ("give back what was written", found.returns_bytes),
            ("list what it holds", found.lists),
            ("delete", found.deletes),
        )
        if not is_kept
    ]
    if broken:
        raise StoreMisconfigured(f"the store doesn't {', nor '.join(broken)}", hint="choose another store")
    if found.conditional_create:
        return "wrote, read back and deleted an object; two writers can't overwrite each other"
    return "wrote, read back and deleted an object; NO conditional writes: never run two writers on it"


def _archive(store: ObjectStore, prefix: str) -> str:
    archive = read_archive(store)
    if archive is None:
        return "none yet: `replicator run` makes it"
    if archive.prefix != prefix:
        raise UsageError(
            f"the archive records the prefix {archive.prefix}, and etcd.prefix is {prefix}",
            hint="give each prefix an archive of its own",
        )
    return f"{archive.archive_id}, made {format_time(archive.created_at)}"
