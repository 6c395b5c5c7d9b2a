"""What is to be written so that etcd holds some other values: the steps, their order, their transactions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from replicator.core.records import Record
    from replicator.core.state import State

TXN_OPERATIONS = 128
"""etcd's own limit (--max-txn-ops), unless somebody has changed it."""

# etcd takes requests of 1.5 MiB; a value above this goes alone.
_TXN_BYTES = 1 << 20

Op = Literal["create", "update", "delete"]
OPS: Final[tuple[Op, ...]] = ("create", "update", "delete")


@dataclass(frozen=True, slots=True)
class Step:
    """One key that is to change, from what etcd was seen to hold.

    Attributes:
        key: The key.
        seen: What etcd held when the plan was made; None for nothing.
        value: What it is to hold; None for nothing.
    """

    key: bytes
    seen: Record | None
    value: bytes | None

    @property
    def op(self) -> Op:
        """What happens to the key."""
        if self.value is None:
            return "delete"
        return "create" if self.seen is None else "update"

    @property
    def size_bytes(self) -> int:
        """About how much of a request it takes."""
        return len(self.key) + len(self.value or b"") + 64


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A plan.

    Attributes:
        steps: What changes, in the order in which it is to be written.
        unchanged: How many of the keys that were looked at hold what they are to hold.
        revision: etcd's revision when it was made.
    """

    steps: tuple[Step, ...]
    unchanged: int
    revision: int

    def count(self, op: Op) -> int:
        """Return how many steps are of that kind."""
        return sum(step.op == op for step in self.steps)


def plan(
    live: State, wanted: Mapping[bytes, bytes], concerned: Iterable[bytes], rank: Callable[[bytes], int]
) -> Rewriting:
    """Return the steps after which each key *concerned* holds what *wanted* has, or nothing.

    Args:
        live: What etcd holds.
        wanted: Values by key.
        concerned: Which keys are looked at.
        rank: What has a lower one is created and updated before others, and deleted after them.
    """
    steps, unchanged = [], 0
    for key in sorted(set(concerned)):
        seen, value = live.get(key), wanted.get(key)
        if (None if seen is None else seen.value) == value:
            unchanged += 1
        else:
            steps.append(Step(key, seen, value))
    puts = sorted((step for step in steps if step.value is not None), key=lambda step: rank(step.key))
    deletes = sorted((step for step in steps if step.value is None), key=lambda step: -rank(step.key))
    return Rewriting((*puts, *deletes), unchanged, live.revision)


def transactions(steps: Sequence[Step], operations: int = TXN_OPERATIONS) -> Iterator[tuple[Step, ...]]:
    """Yield *steps* in transactions of at most so many *operations*, and of a size that etcd takes."""
    held: list[Step] = []
    held_bytes = 0
    for step in steps:
        if held and (len(held) == operations or held_bytes + step.size_bytes > _TXN_BYTES):
            yield tuple(held)
            held, held_bytes = [], 0
        held.append(step)
        held_bytes += step.size_bytes
    if held:
        yield tuple(held)
