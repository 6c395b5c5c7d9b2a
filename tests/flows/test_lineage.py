"""Whether an etcd is still the one that was left: what headers hide, the state at the cursor shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from captures import ModelSource, Running, capturing
from etcd_model import EtcdModel
from memory_store import MemoryStore

from replicator.core import documents, names
from replicator.core.documents import Epoch
from replicator.core.plan import Latest
from replicator.errors import SourceUnavailable
from replicator.flows.open_archive import open_archive
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.ports import Delivery


def new_source() -> ModelSource:
    etcd = EtcdModel()
    etcd.put(b"/apisix/a", b"1")
    return ModelSource(etcd)


def put(source: ModelSource, key: bytes, value: bytes) -> int:
    with source.changing() as etcd:
        etcd.put(key, value)
        return etcd.head


def is_known_through(store: MemoryStore, revision: int) -> bool:
    return restore(store, Latest()).reach.through_revision >= revision


@pytest.mark.parametrize("compacted", [False, True])
def test_an_etcd_set_back_behind_a_bookmark_is_another(compacted) -> None:
    """Nothing of ours came after revision 3, and its head has passed our cursor: only the state differs."""
    source, store = new_source(), MemoryStore()
    with capturing(source, store) as running:
        running.stores(put(source, b"/apisix/a", b"2"))
        with source.changing() as etcd:
            for _ in range(20):
                etcd.pass_by()
    assert is_known_through(store, 23)

    source.etcd = EtcdModel(3, source.etcd.states[3])
    lost = put(source, b"/apisix/b", b"written after the rewind")
    with source.changing() as etcd:
        while etcd.head < 28:
            etcd.pass_by()
        if compacted:
            source.compact(20)
    running = Running(source.again(), store)
    running.tells("lineage.broken")
    running.waits(lambda: len(open_archive(store).epochs) == 2, "a second epoch")
    running.stop()

    assert lost == 4
    assert open_archive(store).epochs[1].reason == "diverged"
    assert sorted(source.etcd.states[28].items()) == list(restore(store, Latest()).state.items())


def test_a_compaction_past_a_quiet_cursor_is_told() -> None:
    source, store = new_source(), MemoryStore()
    with capturing(source, store):
        pass
    with source.changing() as etcd:
        for _ in range(5):
            etcd.pass_by()
        source.compact(etcd.head)
    running = Running(source.again(), store)
    running.tells("lineage.broken")
    running.waits(lambda: len(open_archive(store).epochs) == 2, "a second epoch")
    running.stop()
    assert open_archive(store).epochs[1].reason == "compacted"


def test_a_base_whose_epoch_was_never_opened_doesnt_count() -> None:
    """Its writer was killed before the epoch's document, and another etcd took the place of the old one."""
    old, store = new_source(), MemoryStore()
    for number in range(50):
        put(old, b"/apisix/old", b"%d" % number)
    with capturing(old, store):
        pass
    del store.objects[names.epoch_document(1)]
    del store.objects[names.CHECKPOINT]

    source = new_source()
    with capturing(source, store) as running:
        running.stores(put(source, b"/apisix/a", b"2"))
    epoch = documents.decode(Epoch, store.get(names.epoch_document(1)), "it")
    assert (epoch.base, restore(store, Latest()).state.revision) == (2, 3)
    assert sorted(source.etcd.states[3].items()) == list(restore(store, Latest()).state.items())


def test_a_damaged_snapshot_does_not_stop_the_recording() -> None:
    source, store = new_source(), MemoryStore()
    running = Running(source, store, every="@every 1s")
    running.tells("watch.started")
    running.stores(put(source, b"/apisix/a", b"2"))
    running.tells("snapshot.stored")
    running.stop()
    _, name = store.names(names.snapshot_folder(1))
    body = store.objects[name]
    store.objects[name] = body[:30] + bytes([body[30] ^ 1]) + body[31:]

    with capturing(source.again(), store) as running:
        running.tells("snapshot.damaged")
        running.stores(put(source, b"/apisix/a", b"3"))
    del store.objects[name]
    assert sorted(source.etcd.states[4].items()) == list(restore(store, Latest()).state.items())


def test_a_stream_that_ends_at_once_is_not_begun_ever_faster(monkeypatch) -> None:
    source, store = new_source(), MemoryStore()

    def ends_at_once(_after: int) -> Iterator[Delivery]:
        raise SourceUnavailable("the stream ended")
        yield

    monkeypatch.setattr(source, "watch", ends_at_once)
    running = Running(source, store)
    running.tells("watch.lost", 3)
    running.stop()
    assert [event["retry_in_s"] for event in running.events("watch.lost")][:3] == [0.2, 0.4, 0.8]
