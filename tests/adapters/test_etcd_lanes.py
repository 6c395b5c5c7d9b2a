"""Several watchers on one stream, against a model of etcd: all, once, in order, and no bookmark too early."""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from etcd_sources import source_of
from hypothesis import given
from hypothesis import strategies as st

from replicator.adapters import etcd_lanes
from replicator.adapters.etcd_lanes import Lanes
from replicator.adapters.etcd_messages import messages
from replicator.errors import Compacted, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers.etcd import Etcd

FULL = 4  # etcd's thousand


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    """Let few revisions be many, and a kilobyte too much."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"_FULL": FULL, "_FAR_BEHIND": 2 * FULL, "_MOST_LANES": 5}.items():
            patch.setattr(etcd_lanes, name, value)
        patch.setattr(etcd_lanes, "_WAITING_BYTES", 2000)
        yield


class Stream:
    """The watchers of one stream, as etcd serves them; what it acknowledges may overtake what it brings.

    Attributes:
        head: The newest revision.
        history: The watched ones of all revisions, with how many events each has.
    """

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.head = 1
        self.history: dict[int, int] = {}
        self.requests: deque[Any] = deque()
        self.watchers: dict[int, int] = {}  # what each has got up to
        self.acknowledged: deque[Any] = deque()
        self.news: deque[Any] = deque()

    def write(self, count: int, share: float) -> None:
        """Make so many revisions, of which a share is watched."""
        for _ in range(count):
            self.head += 1
            if self.dice.random() < share:
                self.history[self.head] = self.dice.choice([1, 1, 1, 3])

    def read_request(self) -> None:
        """Do what is asked for next."""
        if not self.requests:
            return
        request = self.requests.popleft()
        if request.HasField("create_request"):
            create = request.create_request
            self.watchers[create.watch_id] = create.start_revision - 1
            self.acknowledged.append(self._response(create.watch_id, created=True))
        elif request.HasField("cancel_request"):
            del self.watchers[request.cancel_request.watch_id]
            self.acknowledged.append(self._response(request.cancel_request.watch_id, canceled=True))
        elif all(reached >= self.head for reached in self.watchers.values()):
            self.news.append(self._response(-1))

    def sync(self) -> None:
        """Give some watcher what is next for it, in fragments perhaps."""
        if self.watchers:
            self.sync_one(self.dice.choice(list(self.watchers)))

    def sync_one(self, number: int) -> None:
        """Give watcher *number* what is next for it."""
        batch = [revision for revision in self.history if revision > self.watchers[number]][:FULL]
        is_all = len(batch) < FULL or batch[-1] == max(self.history)
        self.watchers[number] = max(self.watchers[number], self.head if is_all else batch[-1])
        events = [self._event(revision) for revision in batch for _ in range(self.history[revision])]
        while events:
            cut = self.dice.randint(1, len(events))
            part, events = events[:cut], events[cut:]
            self.news.append(self._response(number, events=part, fragment=bool(events)))
        if is_all and self.dice.random() < 0.2:  # a timed notification
            self.news.append(self._response(number))

    def end(self) -> None:
        """Forget all but the history: another stream begins."""
        for each in (self.requests, self.watchers, self.acknowledged, self.news):
            each.clear()

    def response(self) -> Any:
        """Return the next response, or None."""
        queues = [queue for queue in (self.acknowledged, self.news) if queue]
        return self.dice.choice(queues).popleft() if queues else None

    def _event(self, revision: int) -> Any:
        return messages.Event(kv=messages.KeyValue(key=b"k", value=b"v" * 20, mod_revision=revision))

    def _response(self, number: int, **more: Any) -> Any:
        header = messages.ResponseHeader(revision=self.head)
        return messages.WatchResponse(header=header, watch_id=number, **more)


class Reader:
    """What a watch makes of the stream; it fails at once if a bookmark is too early."""

    def __init__(self, stream: Stream, after: int) -> None:
        self.stream = stream
        self.cursor = after
        self.got: list[tuple[int, int]] = []
        self.bookmark = 0
        self.most = self.streams = 1
        self.lanes = self._begun()

    def _begun(self) -> Lanes:
        last = self.got[-1][0] if self.got else self.cursor
        return Lanes(last, (b"k", b"l"), self.stream.requests.append, may_spread=True)

    def read(self) -> None:
        """Take one response, if there is any."""
        response = self.stream.response()
        if response is None:
            return
        news, bookmark = self.lanes.take(response)
        self.got += [(revision, len(events)) for revision, events in news]
        self.most = max(self.most, len(self.stream.watchers))
        if bookmark is not None:
            self.bookmark = bookmark
            missing = {r for r in self.stream.history if self.cursor < r <= bookmark} - {
                r for r, _ in self.got
            }
            assert not missing, f"a bookmark at {bookmark} before {missing}"
        if self.lanes.is_spent:
            self.stream.end()
            self.streams += 1
            self.lanes = self._begun()


def read_by_chance(seed: int) -> Reader:
    """Let a history of several densities be read and written on as *seed* has it; return who read it."""
    dice = random.Random(seed)
    stream = Stream(dice)
    for _ in range(dice.randint(1, 4)):
        stream.write(dice.randint(0, 60), dice.choice([0.0, 0.1, 0.5, 1.0]))
    reader = Reader(stream, dice.randint(1, max(1, stream.head // 2)))
    for _ in range(dice.randint(0, 300)):
        step = dice.choice([stream.read_request, stream.sync, reader.read, reader.read])
        step()
        if dice.random() < 0.1:
            stream.write(dice.randint(1, 5), dice.choice([0.0, 1.0]))
        if dice.random() < 0.1:
            reader.lanes.ask_for_progress()
    for _ in range(2000):
        for step in (stream.read_request, stream.sync, reader.read, reader.read, reader.read):
            step()
        if not stream.news and not stream.acknowledged and not stream.requests:
            if reader.bookmark == stream.head:
                break
            reader.lanes.ask_for_progress()
    return reader


@given(st.integers(0, 2**32))
def test_all_comes_once_in_order_and_no_bookmark_too_early(seed: int) -> None:
    reader = read_by_chance(seed)
    wanted = [each for each in reader.stream.history.items() if each[0] > reader.cursor]
    assert reader.got == wanted
    assert reader.bookmark == reader.stream.head


def test_much_that_lies_behind_is_read_by_several() -> None:
    """The model is good for something: most histories of this kind have several watchers at some time."""
    readers = [read_by_chance(seed) for seed in range(100)]
    assert sum(reader.most > 1 for reader in readers) > 50
    assert sum(reader.streams > 1 for reader in readers) > 50


def test_where_the_head_is_far_away_all_begin_at_once_and_one_batch_ends_each() -> None:
    """Each batch costs etcd a read of all that follows, and its writers wait meanwhile."""
    stream = Stream(random.Random(1))
    stream.write(50, 1.0)
    reader = Reader(stream, 2)
    stream.read_request()
    reader.read()
    assert len(reader.lanes._lanes) == 5
    while stream.requests:
        stream.read_request()
    for number in list(stream.watchers):
        stream.sync_one(number)
    while stream.news or stream.acknowledged:
        reader.read()
    assert [revision for revision, _ in reader.got] == list(range(3, 3 + 5 * (FULL - 1)))


def test_what_etcd_ends_is_told_and_what_we_ended_is_not() -> None:
    stream = Stream(random.Random(1))
    lanes = Lanes(1, (b"k", b"l"), stream.requests.append, may_spread=True)
    with pytest.raises(Compacted):
        lanes.take(messages.WatchResponse(watch_id=1, canceled=True, compact_revision=7))
    with pytest.raises(SourceUnavailable, match="permission"):
        lanes.take(messages.WatchResponse(watch_id=-1, canceled=True, cancel_reason="permission denied"))
    stream.write(50, 1.0)
    stream.read_request()
    reader = Reader(stream, 1)
    assert reader.lanes.take(messages.WatchResponse(watch_id=0)) == ([], None)


def put_many(endpoint: str, changes: list[tuple[bytes, bytes]]) -> dict[int, bytes]:
    """Put *changes* with many in flight; return which key each revision has changed."""
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(endpoint.removeprefix("http://"), options) as channel:
        put = messages.KVStub(channel).Put
        calls = [put.future(messages.PutRequest(key=key, value=value)) for key, value in changes]
        return {call.result().header.revision: key for call, (key, _) in zip(calls, changes, strict=True)}


def test_a_real_etcd_gives_all_to_several_watchers(etcd: Etcd, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, opening = [], Lanes._open

    def noted(lanes: Lanes, after: int, end: int | None) -> None:
        opened.append(after)
        opening(lanes, after, end)

    monkeypatch.setattr(Lanes, "_open", noted)
    for name, value in {"_FULL": 1000, "_FAR_BEHIND": 2000, "_WAITING_BYTES": 64 << 20}.items():
        monkeypatch.setattr(etcd_lanes, name, value)
    folders = (b"/apisix/%d", b"/apisix/%d", b"/other/%d")
    made = put_many(etcd.endpoint, [(folders[number % 3] % number, b"v") for number in range(9000)])
    source, heard, cursor = source_of(etcd.endpoint), [], 1
    source.status()
    while cursor < max(made):
        for delivery in source.watch(cursor):
            heard += [(revision, events[0].key) for revision, events in delivery.revisions]
            cursor = heard[-1][0] if delivery.through is None else delivery.through
            if cursor >= max(made):
                break
    assert heard == sorted(pair for pair in made.items() if pair[1].startswith(b"/apisix/"))
    assert len(opened) > 3
