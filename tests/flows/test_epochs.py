"""Breaks in etcd's history: each opens an epoch that says why, and nothing else does."""

from __future__ import annotations

import pytest
from captures import (
    ModelSource,
    Running,
    capturing,
    check,
    new_source,
    put,
    reasons,
)
from etcd_model import EtcdModel
from memory_store import MemoryStore

from replicator.core.names import LogName
from replicator.core.plan import AtRevision, AtTime, Latest
from replicator.errors import (
    SourceUnavailable,
    TargetNotRestorable,
)
from replicator.flows.open_archive import open_archive
from replicator.flows.restore import restore

pytestmark = pytest.mark.usefixtures("quick")


def exchanged(source: ModelSource, how: str) -> EtcdModel:
    """Make *source* another etcd than the one that was recorded up to revision 4; return its model."""
    old = source.etcd
    match how:
        case "cluster_changed":
            source.cluster_id = "c2"
        case "rewound":
            source.etcd = EtcdModel(3, old.states[3])
        case "diverged":
            source.etcd = EtcdModel(3, old.states[3])
            source.etcd.put(b"/apisix/b", b"in another history")
            source.etcd.put(b"/apisix/b", b"longer than ours")
        case "compacted":
            source.etcd.put(b"/apisix/a", b"unseen")
            source.etcd.put(b"/apisix/b", b"seen again")
            source.compact(6)
    return source.etcd


BREAKS = ["cluster_changed", "rewound", "diverged", "compacted"]


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("when", ["while it watches", "while it is down"])
def test_a_break_in_lineage_opens_an_epoch_that_says_why(how, when) -> None:
    source, store = new_source(), MemoryStore()
    old = source.etcd
    running = Running(source, store)
    running.tells("watch.started")
    put(source, b"2")
    running.stores(put(source, b"3"))
    known_until = AtTime(restore(store, Latest()).reach.observed_through)
    if when == "while it is down":
        running.stop()
        new = exchanged(source, how)
        source = source.again()
        running = Running(source, store)
    else:
        with source.changing():
            new = exchanged(source, how)
            source.cut()
    running.tells("lineage.broken")
    running.tells("watch.started", len(running.events("watch.started")))
    running.waits(lambda: len(open_archive(store).epochs) == 2, "a second epoch")
    base = new.head
    running.stores(put(source, b"new"))
    running.stop()

    assert ["first", how] == reasons(store)
    for target in (AtRevision(2), known_until):
        restored = restore(store, target)
        assert restored.epoch.epoch == 1
    assert sorted(old.states[4].items()) == list(restored.state.items())
    for revision in (base, new.head):
        restored = restore(store, AtRevision(revision))
        assert restored.epoch.epoch == 2
        assert sorted(new.states[revision].items()) == list(restored.state.items())
    follows = restored.epoch.follows
    assert follows is not None
    assert (follows.position.epoch, follows.position.revision) == (1, 4)
    assert follows.observed_through < restored.epoch.observed_at
    if how == "compacted":
        with pytest.raises(TargetNotRestorable, match="gap after epoch 1"):
            restore(store, AtRevision(5))


def test_a_restart_and_a_lost_stream_are_no_break() -> None:
    source, store = new_source(), MemoryStore()
    with capturing(source, store) as running:
        running.stores(put(source, b"2"))
        with source.changing() as etcd:
            etcd.pass_by()
            source.cut()
        running.tells("watch.started", 2)
    with capturing(source.again(), store):
        pass
    assert reasons(store) == ["first"]


def test_a_compaction_that_took_nothing_from_us_is_no_break() -> None:
    source, store = new_source(), MemoryStore()
    with capturing(source, store) as running:
        running.stores(put(source, b"2"))
        with source.changing():
            source.compact(3)
            source.cut()
        running.tells("watch.started", 2)
        running.stores(put(source, b"3"))
    assert reasons(store) == ["first"]
    check(store, source.etcd, 2)


def test_an_etcd_that_goes_away_while_an_epoch_is_opened_is_waited_for() -> None:
    source, store = new_source(), MemoryStore()
    with capturing(source, store) as running:
        with source.changing():
            source.cluster_id = "c2"
            source.cut()
        running.tells("lineage.broken")
        running.tells("epoch.opened", 2)
        with source.changing():
            source.cluster_id = "c3"
            status = source.status
            calls = iter(["fine", "away", "away"])

            def away_after_the_first():  # noqa: ANN202
                if next(calls, "fine") == "away":
                    raise SourceUnavailable("etcd is away")
                return status()

            source.status = away_after_the_first  # type: ignore[method-assign]
            source.cut()
        running.tells("epoch.opened", 3)
        assert len(running.events("source.unavailable")) == 2


def test_an_epoch_is_not_ended_before_a_segment_that_came_late() -> None:
    """A writer that has lost its turn may have a request under way while the next one opens an epoch."""
    source, store = new_source(), Belated()
    with capturing(source, store) as running:
        running.stores(put(source, b"2"))
        last = put(source, b"3")
        running.stores(last)
    store.take_away(LogName(1, last - 1))
    exchanged(source, "compacted")
    with capturing(source.again(), store) as running:
        running.tells("writer.fenced")
        running.tells("watch.started")
    first, second = open_archive(store).epochs
    assert second.follows is not None
    assert (first.reason, second.reason, second.follows.position.revision) == ("first", "compacted", last)
    assert restore(store, AtRevision(last)).state.revision == last


class Belated(MemoryStore):
    """A store in which a segment turns up while the second epoch is opened."""

    def __init__(self) -> None:
        super().__init__()
        self._late: dict[str, bytes] = {}

    def take_away(self, name: LogName) -> None:
        """Let the segment be on its way, and forget all that knows of it."""
        self._late[str(name)] = self.objects.pop(str(name))
        for other in list(self.names("e00000001/snapshots")):
            if not other.endswith(".base.jsonl.zst"):
                del self.objects[other]
        del self.objects["checkpoint.json"]

    def create(self, name: str, body: bytes) -> None:
        """Store it, and what comes late."""
        super().create(name, body)
        if name.startswith("e00000002/snapshots"):
            self.objects.update(self._late)
