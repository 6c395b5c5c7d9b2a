"""The keyspace under the prefix at one revision, and the digest that proves it."""

from __future__ import annotations

import hashlib
from struct import Struct
from typing import TYPE_CHECKING

from replicator.errors import ArchiveDamaged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replicator.core.records import Batch, Record

_FIXED = Struct(">Iqqqq")
_MODULUS = 1 << 256


class GapInLog(ArchiveDamaged):
    """A batch doesn't continue the state that it was applied to: something between them is missing."""


def fingerprint(key: bytes, record: Record) -> int:
    """Return the SHA-256 of a key and its record, as a number.

    Hashed are the key's length (4 bytes), create_revision, mod_revision, version and lease (8 bytes each,
    signed), all big-endian, then the key, then the value.
    """
    head = _FIXED.pack(len(key), record.create_revision, record.mod_revision, record.version, record.lease)
    return int.from_bytes(hashlib.sha256(head + key + record.value).digest(), "big")


def digest_of(records: Iterable[tuple[bytes, Record]]) -> str:
    """Return the digest of the state that holds *records*, without holding it: 64 hexadecimal digits."""
    return f"{sum(fingerprint(key, record) for key, record in records) % _MODULUS:064x}"


class State:
    """Every live key with its record after all events up to *revision*; mutable, and owned by one thread.

    `size_bytes` is the sum of the sizes of all keys and values.

    The digest is the sum of all fingerprints modulo 2**256: independent of order, so it is brought up to
    date at the price of two hashes for each key that changed since it was last asked for, however large
    the state is, and however often the key changed.
    """

    __slots__ = ("_outdated", "_records", "_sum", "revision", "size_bytes")

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self.size_bytes = 0
        self._records: dict[bytes, Record] = {}
        self._sum = 0
        self._outdated: dict[bytes, Record | None] = {}  # what `_sum` still counts of keys that changed

    @property
    def digest(self) -> str:
        """The state's digest, 64 hexadecimal digits."""
        for key, counted in self._outdated.items():
            if counted is not None:
                self._sum -= fingerprint(key, counted)
            if (record := self._records.get(key)) is not None:
                self._sum += fingerprint(key, record)
        self._outdated.clear()
        self._sum %= _MODULUS
        return f"{self._sum:064x}"

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: bytes) -> Record | None:
        """Return *key*'s record; None if it isn't live."""
        return self._records.get(key)

    def add(self, key: bytes, record: Record) -> None:
        """Take in a key of a snapshot or of a range; *key* must be new.

        Raises:
            GapInLog: The key is here already.
        """
        if key in self._records:
            raise GapInLog(f"the key {key!r} stands twice in one state")
        self._records[key] = record
        self._sum = (self._sum + fingerprint(key, record)) % _MODULUS
        self.size_bytes += len(key) + len(record.value)

    def apply(self, batch: Batch) -> None:
        """Step to *batch*'s revision.

        Raises:
            GapInLog: The batch doesn't follow this state: an older revision, a delete of a key that isn't
                here, or a put whose version isn't the next one. The state is then of no further use.
        """
        if batch.revision <= self.revision:
            raise GapInLog(f"revision {batch.revision} can't follow revision {self.revision}")
        for event in batch.events:
            self._step(event.key, event.record, batch.revision)
        self.revision = batch.revision

    def _step(self, key: bytes, new: Record | None, revision: int) -> None:
        old = self._records.get(key)
        if not _continues(old, new, revision):
            raise GapInLog(f"the event of {key!r} at revision {revision} doesn't follow its state")
        self._outdated.setdefault(key, old)
        if old is not None:
            self.size_bytes -= len(key) + len(old.value)
        if new is None:
            del self._records[key]
        else:
            self._records[key] = new
            self.size_bytes += len(key) + len(new.value)

    def copy(self) -> State:
        """Return an independent state; records are shared, as they never change."""
        twin = State(self.revision)
        twin._records = self._records.copy()
        twin._sum = self._sum
        twin._outdated = self._outdated.copy()
        twin.size_bytes = self.size_bytes
        return twin

    def items(self) -> Iterator[tuple[bytes, Record]]:
        """Yield all keys with their records, in byte order of the keys."""
        for key in sorted(self._records):
            yield key, self._records[key]


def _continues(old: Record | None, new: Record | None, revision: int) -> bool:
    """Tell whether etcd could have gone from *old* to *new* in one step, at *revision*."""
    if new is None:
        return old is not None
    if old is None:
        return new.version == 1 and new.create_revision == new.mod_revision == revision
    return (
        new.version == old.version + 1
        and new.create_revision == old.create_revision
        and new.mod_revision == revision
    )


def replay(state: State, tail: Iterable[Batch]) -> State:
    """Return *state* with every batch of *tail* applied; *state* itself is untouched.

    Raises:
        GapInLog: A batch doesn't start where the state before it ends.
    """
    result = state.copy()
    for batch in tail:
        result.apply(batch)
    return result
