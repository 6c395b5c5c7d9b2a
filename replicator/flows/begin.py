"""Where a capture begins: at the end of the log that is there, or with a new archive."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING
from uuid import uuid4

from replicator.core import documents, names
from replicator.core.documents import FORMAT, Archive
from replicator.core.file_changes import FILES
from replicator.errors import Compacted, UsageError
from replicator.flows.open_archive import read_archive, read_epochs
from replicator.flows.open_epoch import open_epoch, read_base
from replicator.flows.resume import resume

if TYPE_CHECKING:
    from replicator.flows.link import Link
    from replicator.flows.persist import Persistence
    from replicator.flows.tip import Tip
    from replicator.ports import Source


def examine(link: Link) -> Archive | None:
    """Return the archive's identity, or None if there is none yet; refuse what can't be meant.

    Raises:
        UsageError: The archive is another prefix's, or it has nothing yet and etcd nothing under the prefix.
        SourceUnavailable: etcd can't be reached or refuses us.
        StoreUnavailable: The same of the store.
    """
    status = link.source.status()
    link.log.info("source.connected", cluster_id=status.cluster_id, version=status.version, head=status.head)
    archive = read_archive(link.store)
    if archive is None:
        if not holds_keys(link.source):
            question_prefix(link.source, link.prefix)
    elif archive.prefix != link.prefix:
        ours = "the files' own" if link.prefix == FILES else "etcd.prefix"
        raise UsageError(
            f"the archive records the prefix {archive.prefix}, and {ours} is {link.prefix}",
            hint="give each prefix an archive of its own, and files one as well",
        )
    return archive


def begin(link: Link, persistence: Persistence) -> Tip:
    """Return the log's end, for us to go on from.

    Raises:
        UsageError: The archive is another prefix's, or etcd holds nothing under the prefix.
        SourceUnavailable: etcd can't be reached or refuses us.
        StoreUnavailable: The same of the store.
        ArchiveDamaged: The log's tail can't be replayed.
    """
    archive = examine(link)
    if archive is not None and any(read_epochs(link.store)):
        tip = resume(
            link.store,
            link.writer,
            lambda damage: link.log.error("snapshot.damaged", cause=str(damage)),
        )
        link.log.info("capture.resumed", epoch=tip.epoch.epoch, revision=tip.state.revision)
        return tip
    return _found(link, persistence, archive)


def _found(link: Link, persistence: Persistence, archive: Archive | None) -> Tip:
    """Open the first epoch, and before it the archive itself if there is none."""
    base = read_base(link)
    if len(base.state) == 0:
        question_prefix(link.source, link.prefix)
        link.log.warning("source.empty", prefix=link.prefix)
    if archive is None:
        archive = Archive(
            format=FORMAT, archive_id=uuid4().hex, prefix=link.prefix, created_at=link.clock.now()
        )
        persistence.create(names.ARCHIVE, documents.encode(archive))
        link.log.info("archive.created", archive_id=archive.archive_id, prefix=archive.prefix)
    return open_epoch(link, persistence, base, archive.archive_id)


def holds_keys(source: Source) -> bool:
    """Tell whether etcd holds any key under the prefix now."""
    while True:
        with suppress(Compacted):  # between the two questions
            return any(islice(source.read(source.status().head), 1))


def question_prefix(source: Source, prefix: str) -> None:
    """Ask whether the empty *prefix* is meant.

    Raises:
        UsageError: etcd holds other keys: that is more likely a mistake than a beginning.
    """
    neighbour = source.neighbour()
    if neighbour is not None:
        raise UsageError(
            f"etcd holds no key under {prefix}, but others: {repr(neighbour)[1:]} is one",
            hint="check etcd.prefix; or start APISIX on this etcd first",
        )
