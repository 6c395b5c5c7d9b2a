"""One watch on one stream of etcd: whole revisions, and how far nothing more happened."""

from __future__ import annotations

import re
import threading
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import grpc

from replicator.adapters.etcd_lanes import Lanes, refusal
from replicator.errors import SourceUnavailable
from replicator.ports import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from replicator.adapters.etcd_connection import Connection
    from replicator.ports import Clock

_PROGRESS_S = 1.0
_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_HEAD_TIMEOUT_S = 2.0
_SILENCE_S = 5.0
_ASK_ANOTHER = "restart that etcd server if this goes on"

# After `finish`: how often etcd is asked whether that was all, and how many times before we believe it.
_LAST_WORD_S = 0.1
_LAST_WORDS = 20


class Watch:
    """Watches the keys from *bounds*[0] up to *bounds*[1]; *asks* etcd for progress, if that may be believed.

    While it watches it asks etcd each second where its head lies. An etcd that hasn't answered that for five
    seconds is given up: it is suspended, cut off, or without a leader.
    """

    def __init__(
        self, connection: Connection, bounds: tuple[bytes, bytes], clock: Clock, *, asks: bool
    ) -> None:
        self._connection = connection
        self._asks = asks
        self._bounds = bounds
        self._clock = clock
        self._lanes: Lanes | None = None
        self._heard_at = clock.monotonic()
        self._is_created = False
        self._loss: Exception | None = None
        self._requests: SimpleQueue[Any] = SimpleQueue()
        self._finishing = threading.Event()
        self._ended = threading.Event()
        self._last: int | None = None
        self._heads: deque[tuple[datetime, int]] = deque()
        self._call: Any = None
        self._asking = threading.Thread(target=self._ask, name="etcd-progress", daemon=True)

    def finish(self) -> None:
        """Let `deliveries` end once it has yielded all that etcd holds by now; may be called from any thread.

        An etcd that doesn't answer is given two seconds; `deliveries` then ends with gRPC's CANCELLED.
        """
        self._finishing.set()

    def begin(self, after: int) -> Any:
        """Let etcd begin to watch what follows revision *after*; `deliveries` is next, or `end`.

        Returns the header of etcd's answer: which cluster it is, and at which revision.

        Raises:
            Compacted: etcd no longer holds that.
            SourceUnavailable: etcd refused the watch, or never began it.
            grpc.RpcError: The stream or etcd's other answers failed.
        """
        # Old servers lose events of watchers that lie behind: there are to be no more of them than need be.
        self._lanes = Lanes(after, self._bounds, self._requests.put, may_spread=self._asks)
        self._call = self._connection.watch(iter(self._requests.get, None))
        self._heard_at = self._clock.monotonic()
        self._asking.start()
        try:
            first = next(self._call)
        except grpc.RpcError as error:
            self.end()
            raise self._loss or error from None
        if first.canceled:
            self.end()
            raise refusal(first)
        self._lanes.take(first)
        self._is_created = True
        return first.header

    def deliveries(self, after: int) -> Iterator[Delivery]:
        """Yield whole revisions after *after*, as `begin` was told, in order, and bookmarks.

        They end when much that lay behind has come: begin another watch then.

        Raises:
            Compacted: etcd no longer holds what follows *after*.
            SourceUnavailable: etcd ended the watch.
            grpc.RpcError: The stream or etcd's other answers failed.
        """
        try:
            if self._lanes is not None:
                yield from self._received(self._lanes, after)
        except grpc.RpcError as error:
            raise self._loss or error from None
        finally:
            self.end()

    def end(self) -> None:
        """End the stream at once; that it has ended is no error."""
        if self._call is None:
            return
        self._ended.set()
        self._finishing.set()
        self._call.cancel()
        self._requests.put(None)
        if self._asking is not threading.current_thread():
            self._asking.join()

    def _ask(self) -> None:
        """Note etcd's head, and ask for progress, again and again: etcd drops the question in a catch-up."""
        while not self._finishing.wait(_PROGRESS_S):
            if self._note_head() is not None:
                self._ask_for_progress()
        if not self._ended.is_set():
            self._ask_for_the_last_word()

    def _ask_for_the_last_word(self) -> None:
        self._last = self._note_head()
        for _ in range(_LAST_WORDS if self._last is not None else 0):
            self._ask_for_progress()
            if self._ended.wait(_LAST_WORD_S):
                return
        self._call.cancel()

    def _ask_for_progress(self) -> None:
        if self._asks and self._lanes is not None:
            self._lanes.ask_for_progress()

    def _note_head(self) -> int | None:
        """Note where etcd's head lies, and return that; None if etcd doesn't say."""
        asked_at = self._clock.now()
        try:
            answer = self._connection.range(_HEAD_TIMEOUT_S, key=self._bounds[0], count_only=True)
        except grpc.RpcError as error:
            if error.code() not in _PASSING or self._silence_s() > _SILENCE_S:
                self._lose(error)
            return None
        if self._is_created:
            self._heard_at = self._clock.monotonic()
        elif self._silence_s() > _SILENCE_S:
            self._lose(SourceUnavailable("etcd answers, but doesn't begin the watch", hint=_ASK_ANOTHER))
        head = int(answer.header.revision)
        self._heads.append((asked_at, head))
        return head

    def _silence_s(self) -> float:
        return self._clock.monotonic() - self._heard_at

    def _lose(self, cause: Exception) -> None:
        """End the stream, which says nothing by itself; *cause* is then what ended it."""
        self._loss = cause
        self._call.cancel()

    def _received(self, lanes: Lanes, cursor: int) -> Iterator[Delivery]:
        for response in self._call:
            news, bookmark = lanes.take(response)
            if news:
                cursor = news[-1][0]
                yield Delivery(self._clock.now(), tuple(news))
            # The revision of a response with events is no cursor; of one without, it is a bookmark.
            elif bookmark is not None and (moment := self._reached(bookmark)) and bookmark >= cursor:
                cursor = bookmark
                yield Delivery(moment, (), through=cursor)
            if lanes.is_spent:  # whoever goes on makes sure first that it still is the same etcd
                return
            if self._last is not None and cursor >= self._last:
                return

    def _reached(self, revision: int) -> datetime | None:
        """Return the last moment at which etcd's head is known to have lain at or before *revision*, if any.

        A bookmark may be old when it is read, and none says which question it answers.
        """
        moment = None
        while self._heads and self._heads[0][1] <= revision:
            moment = self._heads.popleft()[0]
        return moment


def answers_progress_truly(version: str) -> bool:
    """Tell whether etcd *version* may be asked for progress: older ones answer too early (etcd#15220)."""
    numbers = [int(part) for part in re.findall(r"\d+", version)[:3]]
    return numbers >= [3, 5, 8] or [3, 4, 25] <= numbers < [3, 5]
