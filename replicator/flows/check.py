"""Try for real what a capture needs, one thing after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.core.quantities import format_time, human_size
from replicator.errors import ReplicatorError, StoreMisconfigured, UsageError
from replicator.flows.begin import holds_keys, question_prefix
from replicator.flows.open_archive import read_archive
from replicator.flows.probe import probe, probe_swap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicator.ports import ObjectStore, Source, Waiting


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried: what it *said*, or its *failure*."""

    what: str
    said: str
    failure: ReplicatorError | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where to: the archive's *store*, whether *is_local*, and what tries the spool; None without one."""

    store: ObjectStore
    is_local: bool
    try_spool: Callable[[str | None], Waiting] | None


def check(source: Source, prefix: str, place: Place, token: str) -> Iterator[Finding]:
    """Yield what was found, as it is found; what rests on something that failed isn't tried.

    Args:
        source: The etcd.
        prefix: What is to be recorded.
        place: Where to.
        token: A random name for the object that is written, swapped, read back and deleted.
    """
    etcd = attempt_to("etcd", lambda: _etcd(source))
    yield etcd
    if etcd.failure is None:
        yield attempt_to("prefix", lambda: _prefix(source, prefix))
    store = place.store
    stored = attempt_to("store", lambda: try_store(store, token))
    yield stored
    if stored.failure is None:
        yield attempt_to("swap", lambda: _swap(store, f"{token}-swap"))
        yield attempt_to("archive", lambda: _archive(store, prefix))
    yield attempt_to("spool", lambda: _spool(place, is_reachable=stored.failure is None))


def attempt_to(what: str, attempt: Callable[[], str]) -> Finding:
    """Return what *attempt* says, or why it failed, as the finding *what*."""
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


def try_store(store: ObjectStore, token: str) -> str:
    """Write, read back, list and delete an object whose name has *token* in it; say what came of it."""
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


def _swap(store: ObjectStore, token: str) -> str:
    """The checkpoint holds the lease by which writers take turns, and is the one object that changes."""
    match probe_swap(store, token):
        case "kept":
            return "of two writers only one can change the checkpoint: a standby may run"
        case "ignored":
            return (
                "the store IGNORES If-Match: two writers may both take the lease; never run a standby on it"
            )
        case "refused":
            return "the store REFUSES If-Match: no checkpoint can be kept; never run a standby on it"


def _spool(place: Place, *, is_reachable: bool) -> str:
    if place.try_spool is None and place.is_local:
        return "none: the archive is on local disk itself"
    if place.try_spool is None:
        return (
            "NONE (capture.spool): while the store is away changes wait in memory, and a crash then loses "
            "what etcd compacts meanwhile"
        )
    archive = read_archive(place.store) if is_reachable else None
    waiting = place.try_spool(archive.archive_id if archive else None)
    if not waiting.segments:
        return "can be written to, and nothing waits in it"
    many = f"{waiting.segments} segment{'' if waiting.segments == 1 else 's'}"
    return (
        f"can be written to, {many} ({human_size(waiting.size_bytes)}) waiting in it: `run` stores them first"
    )


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
