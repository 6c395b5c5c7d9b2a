"""The seams: what flows ask of the outside, and what they may rely on.

An adapter translates its driver's exceptions into those of `replicator.errors`; a flow never sees
another kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from replicator.core.records import Record
    from replicator.core.rewriting import Step
    from replicator.core.sealing import Reference, SealingKey
    from replicator.core.stamp import Unstamped


class Clock(Protocol):
    """The only way to ask the time, and to let it pass."""

    def now(self) -> datetime:
        """Return the wall-clock time: aware, UTC. It may step back; whoever stamps with it clamps."""

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never decreases. For intervals and deadlines."""

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for *seconds*."""


class Peers(Protocol):
    """The processes that may write one archive."""

    def me(self) -> str:
        """Return where and what this process is."""

    def is_gone(self, process: str) -> bool:
        """Tell whether *process*, as `me` said it there, has ended for sure; False if nobody can tell."""


class Spools(Protocol):
    """Folders on local disk for what waits for the store; each belongs to one process while that lives."""

    def own(self, archive_id: str, writer: str) -> ObjectStore | None:
        """Return a folder of *writer*'s own, made by its first write; None if nothing is kept on disk.

        Raises:
            StoreUnavailable: It can't be had.
        """

    def left(self, archive_id: str) -> Sequence[ObjectStore]:
        """Return the folders of all other writers: those of the dead are ours from now on.

        From those of the living, who have lost the lease to us, nothing is deleted.
        """

    def release(self) -> None:
        """Give all folders back; the empty ones go."""


class Home(Protocol):
    """A few small files of an agent's own: each is there whole or not at all, and durable once written."""

    def read(self, name: str) -> bytes | None:
        """Return the file's bytes; None if there is none.

        Raises:
            UsageError: It can't be read.
        """

    def write(self, name: str, body: bytes) -> None:
        """Put *body* in the file's place.

        Raises:
            UsageError: It can't be written; what was there is untouched.
        """

    def remove(self, name: str) -> None:
        """Remove the file; that there is none is no error."""


class Gateway(Protocol):
    """The gateway that an agent turns. All methods but `config` and `trial` may raise GatewayFailed."""

    def config(self) -> bytes:
        """Return the bytes of its config.yaml.

        Raises:
            UsageError: It can't be read.
        """

    def replace_config(self, body: bytes) -> None:
        """Put *body* in the place of config.yaml, with the mode and owner of what is there; durable."""

    def reload(self) -> None:
        """Let it read that anew."""

    def await_ready(self) -> bool:
        """Wait until it says that it has its configuration; False if nobody wants to wait any more."""

    def trial(self) -> None:
        """Look whether it could be turned; nothing is changed.

        Raises:
            UsageError: Its config.yaml can't be replaced, or there is no such reload command.
        """


class ControlPlane(Protocol):
    """The etcd that a gateway lives on."""

    def probe(self) -> bool:
        """Tell whether it holds any resource, by a linearizable read; placeholders and heartbeats are none.

        Raises:
            SourceUnavailable: It doesn't answer, or refuses us.
            UsageError: It can't be asked: a TLS file can't be read, say.
        """


class Target(Protocol):
    """What a gateway takes its resources from."""

    def digest(self) -> str:
        """Return the SHA-256 of what is there, in hexadecimal; empty if nothing is, or nobody knows.

        Raises:
            ReplicatorError: It can't be reached.
        """

    def put(self, chunks: Sequence[bytes]) -> None:
        """Put *chunks* there, so that the gateway notices, even if they are the same as before.

        Raises:
            ReplicatorError: They can't be put there; what was there stays.
        """


class Waiting(msgspec.Struct, frozen=True):
    """What waits in a spool for one archive: how many segments, and their size."""

    segments: int
    size_bytes: int


class SourceStatus(msgspec.Struct, frozen=True):
    """What a linearizable read says of etcd.

    Attributes:
        cluster_id: The cluster's id, in hexadecimal.
        version: etcd's version.
        head: Its revision.
        tells_progress: Whether a watch delivers a bookmark about each second, as soon as it has caught up.
    """

    cluster_id: str
    version: str
    head: int
    tells_progress: bool = True


class Delivery(msgspec.Struct, frozen=True):
    """What a watch delivers at once.

    Attributes:
        at: A moment at which it was true: when events arrived, or when progress was asked for.
        revisions: Whole revisions in order, each with all its events under the prefix.
        through: After these nothing more happened up to this revision; None if that isn't known.
    """

    at: datetime
    revisions: tuple[Unstamped, ...]
    through: int | None = None


class Source(Protocol):
    """One prefix of an etcd. Any method may raise SourceUnavailable."""

    def status(self) -> SourceStatus:
        """Ask etcd where it stands, linearizably."""

    def read(self, revision: int) -> Iterator[tuple[bytes, Record]]:
        """Yield all keys under the prefix as of *revision*, in byte order.

        Raises:
            Compacted: etcd no longer holds *revision*.
        """

    def watch(self, after: int) -> Iterator[Delivery]:
        """Begin to watch what happens after revision *after*, and return that; it ends with `interrupt`.

        It may end by itself as well, when much that lay behind has come: begin another one then.

        The watch stands when this returns: what is then found to be so, such as a state that is compared, is
        of the very etcd whose events follow, which is the one that `status` was asked of. `status` ends it.

        Raises:
            Compacted: etcd no longer holds what follows *after*.
        """

    def interrupt(self) -> None:
        """End the watch for good, once it has yielded all that etcd holds by now; from any thread.

        An etcd that doesn't answer is given a few seconds.
        """

    def neighbour(self) -> bytes | None:
        """Return some key of this etcd, whatever its prefix, or None if there is none or we may not know."""


class Rewritable(Protocol):
    """An etcd that is written to, in transactions that see nobody else's change overwritten."""

    def transact(self, steps: Sequence[Step]) -> Sequence[bytes]:
        """Do all *steps* in one transaction, if each key still is as it was seen; return those that aren't.

        Nothing is done if there are any.

        Raises:
            SourceUnavailable: etcd doesn't answer, or refuses; whether it has done them isn't known then.
        """
        ...


class ObjectStore(Protocol):
    """Named blobs below one root. Strongly consistent: a finished `create` is visible to everyone.

    Names are relative, with ``/`` between parts. All objects are immutable but those that `replace`
    touches. Any method may raise StoreUnavailable (worth another try) or StoreMisconfigured (not). After
    a StoreUnavailable from `create` the object may or may not exist; call it again with the same bytes
    and it settles. Methods may be called from several threads. ``str`` gives the root's URL, for people.
    """

    def create(self, name: str, body: bytes) -> None:
        """Store *body* if *name* is free, or already holds these very bytes.

        The object is durable when this returns, and never visible in part.

        Raises:
            ObjectExists: *name* holds other bytes.
        """

    def get(self, name: str) -> bytes:
        """Return the whole object.

        Raises:
            ObjectMissing: There is none of this name.
            ArchiveDamaged: It is longer than an object of this name can be, or doesn't decrypt.
        """

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the names that begin with *prefix* and sort after *after*, in byte order, lazily."""

    def delete(self, name: str) -> None:
        """Remove the object; that there is none is no error."""

    def replace(self, name: str, old: bytes | None, new: bytes) -> None:
        """Swap the object's bytes from *old* to *new* in one step; an *old* of None means "no object yet".

        Raises:
            ObjectChanged: The object holds other bytes than *old*.
        """


class Keys(Protocol):
    """The keys that an archive's objects are encrypted with. Methods may be called from several threads."""

    def newest(self) -> SealingKey | None:
        """Return the key that the next object is sealed with; None if objects are stored as they are.

        Raises:
            StoreUnavailable: The service that keeps the keys can't be asked, or refuses.
        """

    def find(self, reference: Reference, name: str) -> SealingKey:
        """Return the key that *reference* means; *name* is the object's, for the errors alone.

        Raises:
            KeyMissing: It isn't among these keys.
            ArchiveDamaged: There can't be such a key.
            StoreUnavailable: The service that keeps the keys can't be asked, or refuses.
        """
