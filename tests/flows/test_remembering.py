"""What never changes is read once; what may change, each time."""

from __future__ import annotations

from archives import written
from journal import Journal

from replicator.core.plan import AtRevision
from replicator.flows.remembering import Remembering
from replicator.flows.restore import restore


def test_each_object_is_read_once_by_many_restores() -> None:
    scribe = written(cut_after=(3,))
    journal = Journal()
    journal.objects = dict(scribe.store.objects)
    store = Remembering(journal)
    digests = [restore(store, AtRevision(revision)).state.digest for revision in (4, 8, 5, 4, 7)]
    assert digests == [
        restore(scribe.store, AtRevision(revision)).state.digest for revision in (4, 8, 5, 4, 7)
    ]
    reads = [name for name in journal.asked if name.endswith(".zst")]
    assert len(reads) == len(set(reads))
    assert journal.asked.count("archive.json") == 5


def test_no_more_is_kept_than_may_be() -> None:
    scribe = written()
    names = [name for name in scribe.store.objects if name.endswith(".zst")]
    journal = Journal()
    journal.objects = dict(scribe.store.objects)
    store = Remembering(journal, limit_bytes=1)
    for name in (names[0], names[0], names[1], names[0]):
        assert store.get(name) == scribe.store.objects[name]
    assert journal.asked == [names[0], names[1], names[0]]
