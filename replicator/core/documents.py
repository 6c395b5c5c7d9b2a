"""The archive's small JSON documents: its identity, its epochs, and the writer's checkpoint.

Each is one line of JSON whose last member, ``sha256``, is the digest of all bytes before ``,"sha256"``.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec

from replicator.core.frame import DAMAGE_HINT
from replicator.core.limits import UNREADABLE, Moment, Number, check_moments
from replicator.core.records import Position  # noqa: TC001 (msgspec reads the annotations)
from replicator.errors import ArchiveDamaged, UsageError

FORMAT = 1

_SEAL = b',"sha256":"'


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """``archive.json``: whose history this is; written once.

    Attributes:
        format: Version of the format, `FORMAT`.
        archive_id: A random name of this archive; every object carries it.
        prefix: The etcd prefix, byte for byte.
        created_at: When the archive was made.
    """

    format: Number
    archive_id: str
    prefix: str
    created_at: Moment

    def __post_init__(self) -> None:
        """Refuse times that can't be reckoned with."""
        check_moments(self.created_at)


class Follows(msgspec.Struct, frozen=True, kw_only=True):
    """Where the epoch before ended: what a stale writer adds to its log beyond that doesn't count.

    Attributes:
        position: The end of its log.
        through_revision: etcd's revision up to which nothing more happened under the prefix.
        observed_through: All that was committed until then is in its log.
        segment: SHA-256 of its last segment, or of its base snapshot if it has none.
    """

    position: Position
    through_revision: Number
    observed_through: Moment
    segment: str

    def __post_init__(self) -> None:
        """Refuse times that can't be reckoned with."""
        check_moments(self.observed_through)


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Which gap record is the epoch's, and what it counts.

    Attributes:
        name: The record's name; others beside it are of processes that opened no epoch.
        sha256: Its SHA-256.
        created: How many keys were created across the gap.
        updated: How many were updated.
        deleted: How many were deleted.
        same_value: How many of the updated hold the same bytes as before.
    """

    name: str
    sha256: str
    created: Number
    updated: Number
    deleted: Number
    same_value: Number


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """``epoch.json``: a history without holes begins here. It is written last, after its base snapshot.

    Attributes:
        epoch: Its number; epochs count from 1.
        reason: Why it was opened: ``first``, ``compacted`` (etcd had compacted past our position),
            ``cluster_changed``, ``rewound`` (etcd's head lay before our position), or ``diverged`` (etcd's
            state at our position wasn't ours).
        cluster_id: etcd's cluster, in hexadecimal as etcdctl prints it.
        base: Revision of the base snapshot: history begins here.
        observed_at: Stamp of the base: when it was read.
        snapshot: Name of the base snapshot.
        writer: Who wrote it.
        follows: The end of the epoch before; None for the first.
        gap: What differs across the gap between the two; None for the first, and where a version wrote it
            that knew no gap records.
    """

    epoch: Number
    reason: str
    cluster_id: str
    base: Number
    observed_at: Moment
    snapshot: str
    writer: str
    follows: Follows | None = None
    gap: Gap | None = None

    def __post_init__(self) -> None:
        """Refuse times that can't be reckoned with."""
        check_moments(self.observed_at)


class GapAcknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """``gap-acknowledged.json``: somebody took note of the gap before *epoch*; written once.

    Attributes:
        epoch: The epoch that follows the gap.
        acknowledged_at: When.
        note: What they had to say.
    """

    epoch: Number
    acknowledged_at: Moment
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse times that can't be reckoned with."""
        check_moments(self.acknowledged_at)


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes the log at the moment. It keeps the peace; the log's own names keep it whole.

    Attributes:
        holder: The writer; empty once it has given the lease back.
        process: Where and what the holder's process is, so that its end can be seen from the same machine.
        term: Counts the takeovers.
        silence_s: A holder that hasn't renewed for so many seconds is taken for gone.
        standby: A process that waits for the lease, if one has said so lately; else empty.
    """

    holder: str
    process: str
    term: Number
    silence_s: float
    standby: str = ""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """``checkpoint.json``: how far the writer has seen. A hint: the log is the truth.

    Attributes:
        position: The log's end when this was written; epoch 0 before the first is opened.
        through_revision: etcd's revision up to which nothing more happened under the prefix.
        observed_through: The watermark: all that was committed until then is in the log.
        writer: Who wrote it.
        written_at: When; each of the holder's own writes has another.
        lease: Whose turn it is to write; None in archives of version 0.1.
    """

    position: Position
    through_revision: Number
    observed_through: Moment
    writer: str
    written_at: Moment
    lease: Lease | None = None

    def __post_init__(self) -> None:
        """Refuse times that can't be reckoned with."""
        check_moments(self.observed_through, self.written_at)


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """A record of retention, written before it deletes: a hole in the log before *through* is no damage.

    Attributes:
        epoch: Whose log is thinned.
        through: What lies before this revision is no longer whole.
        pruned_at: When.
        rule: By which rule: ``full`` and ``daily`` in seconds, as they were set.
        snapshots: How many snapshots were to go.
        pieces: How many pieces of the log were to go.
    """

    epoch: Number
    through: Number
    pruned_at: Moment
    rule: dict[str, float | None]
    snapshots: Number
    pieces: Number

    def __post_init__(self) -> None:
        """Refuse times that can't be reckoned with."""
        check_moments(self.pruned_at)


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A named point, ``points/<name>.json``: retention keeps what its restore needs.

    Attributes:
        name: Its name.
        position: The state that it names.
        moment: Stamp of that state's last revision.
        note: What its maker said of it.
        made_at: When it was made.
    """

    name: str
    position: Position
    moment: Moment
    note: str
    made_at: Moment

    def __post_init__(self) -> None:
        """Refuse times that can't be reckoned with."""
        check_moments(self.moment, self.made_at)


AnyDocument = Archive | Epoch | GapAcknowledged | Checkpoint | Pruned | Point
Document = TypeVar("Document", Archive, Epoch, GapAcknowledged, Checkpoint, Pruned, Point)


def encode(document: AnyDocument) -> bytes:
    """Return the document's bytes, sealed."""
    return sealed(msgspec.json.encode(document))


def sealed(text: bytes) -> bytes:
    """Return the JSON object *text* with its own digest as its last member, and a newline."""
    text = text[:-1]
    return text + _SEAL + hashlib.sha256(text).hexdigest().encode() + b'"}\n'


def decode(kind: type[Document], body: bytes, name: str) -> Document:
    """Return the document that *body* holds; *name* is for the error alone.

    Raises:
        ArchiveDamaged: The bytes aren't those that `encode` wrote.
        UsageError: A newer version of this program wrote the archive.
    """
    text, _, seal = body.rpartition(_SEAL)
    if seal != hashlib.sha256(text).hexdigest().encode() + b'"}\n':
        raise ArchiveDamaged(
            f"{name} is damaged: its SHA-256 doesn't fit its bytes",
            hint=DAMAGE_HINT,
        )
    try:
        document = msgspec.json.decode(text + b"}", type=kind)
    except UNREADABLE as error:
        raise ArchiveDamaged(f"{name} can't be read: {error}", hint=DAMAGE_HINT) from None
    if isinstance(document, Archive) and document.format != FORMAT:
        raise UsageError(
            f"the archive has format {document.format}, and this version reads format {FORMAT}",
            hint="use the version of replicator that wrote it, or a later one",
        )
    return document
