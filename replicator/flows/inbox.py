"""Group commit: what the watch delivers waits here until it is worth an object, or old enough."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.core.records import size_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replicator.core.records import Batch
    from replicator.flows.tip import Watermark
    from replicator.ports import Clock


@dataclass(frozen=True, slots=True)
class GroupCommit:
    """When waiting batches are worth an object: *interval_s* after the first came, or at *size_bytes*."""

    interval_s: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Haul:
    """What `Inbox.take` gives: batches for one segment (or none), and what was known when they were all."""

    batches: tuple[Batch, ...]
    watermark: Watermark | None
    is_last: bool


class Inbox:
    """A queue of batches between one thread that puts and one that takes.

    Args:
        rule: When `take` returns batches.
        limit_bytes: From here on `put` waits, and etcd's stream with it.
        clock: For the age of what waits.
    """

    def __init__(self, rule: GroupCommit, limit_bytes: int, clock: Clock) -> None:
        self._rule = rule
        self._limit_bytes = limit_bytes
        self._enough_bytes = min(rule.size_bytes, limit_bytes)  # a full inbox can't wait for more
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Batch, int]] = deque()
        self._waiting_bytes = 0
        self._first_came_at = 0.0
        self._watermark: Watermark | None = None
        self._closed = False
        self._is_hurried = False

    @property
    def is_closed(self) -> bool:
        """Whether what is put is dropped."""
        return self._closed

    def put(self, batches: Iterable[Batch]) -> None:
        """Append *batches*; blocks while the inbox is full. What comes after `close` is dropped.

        It is closed before its source has ended if all is given up: etcd's backlog would fill the memory.
        """
        with self._changed:
            for batch in batches:
                while self._waiting_bytes >= self._limit_bytes and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                if not self._waiting:
                    self._first_came_at = self._clock.monotonic()
                size = size_bytes(batch)
                was_enough = self._waiting_bytes >= self._enough_bytes
                self._waiting.append((batch, size))
                self._waiting_bytes += size
                # At any other batch whoever takes would wake up for nothing, thousands of times a second.
                if len(self._waiting) == 1 or (self._waiting_bytes >= self._enough_bytes and not was_enough):
                    self._changed.notify_all()

    def observe(self, watermark: Watermark) -> None:
        """Note that after all that was put nothing more happened, up to *watermark*."""
        with self._changed:
            if not self._closed:  # else it may lie behind what was dropped
                self._watermark = watermark

    def flush(self) -> None:
        """Let `take` give out what waits, and the watermark behind it, without delay."""
        with self._changed:
            self._is_hurried = True
            self._changed.notify_all()

    def close(self) -> None:
        """Let `take` give out what waits without delay, and then say that it was the last."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, patience_s: float) -> Haul:
        """Return the next segment's batches as soon as they are due; none if *patience_s* passes before."""
        deadline = self._clock.monotonic() + patience_s
        with self._changed:
            while not self._closed and not self._is_hurried and (wait_s := self._wait_s(deadline)) > 0:
                self._changed.wait(wait_s)
            batches = self._cut() if self._closed or self._is_hurried or self._is_due() else ()
            self._changed.notify_all()
            all_taken = not self._waiting
            self._is_hurried = self._is_hurried and not all_taken
            return Haul(batches, self._watermark if all_taken else None, self._closed and all_taken)

    def _wait_s(self, deadline: float) -> float:
        now = self._clock.monotonic()
        if self._is_due():
            return 0
        due = self._first_came_at + self._rule.interval_s if self._waiting else deadline
        return min(due, deadline) - now

    def _is_due(self) -> bool:
        if not self._waiting:
            return False
        age_s = self._clock.monotonic() - self._first_came_at
        return age_s >= self._rule.interval_s or self._waiting_bytes >= self._enough_bytes

    def _cut(self) -> tuple[Batch, ...]:
        """Take whole batches off the front, until one segment is full."""
        batches: list[Batch] = []
        taken_bytes = 0
        while self._waiting and taken_bytes < self._rule.size_bytes:
            batch, size = self._waiting.popleft()
            batches.append(batch)
            taken_bytes += size
        self._waiting_bytes -= taken_bytes
        return tuple(batches)
