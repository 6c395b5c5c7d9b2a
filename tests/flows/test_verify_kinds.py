"""`verify --full` and each kind of object beside plain segments and snapshots: whole, damaged, and lying."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from archives import Scribe, segments, written
from etcd_model import EtcdModel
from generators import START
from memory_store import MemoryStore
from msgspec import structs
from servers.clock import SteppedClock
from servers.keys import keys

from replicator.adapters.sealed import SealedStore
from replicator.core import documents, frame, objects
from replicator.core.documents import Checkpoint, GapAcknowledged, Pruned
from replicator.core.merged import decode_piece, encode_merged
from replicator.core.names import PrunedName, epoch_document, parse_merged
from replicator.core.plan import AtRevision
from replicator.core.records import Position
from replicator.errors import UsageError
from replicator.flows.compact import compact
from replicator.flows.merge import MergeRules
from replicator.flows.open_archive import merged, open_archive
from replicator.flows.points import add_point
from replicator.flows.restore import restore
from replicator.flows.verify_full import verify_full

HOUR = timedelta(hours=1)
OTHER = "1" * 64


def merged_scribe(count: int = 6, grace: timedelta = HOUR) -> tuple[Scribe, str]:
    """Return a scribe whose segments are merged into one object, and that object's name."""
    scribe = written(cut_after=(2, count))
    compact(scribe.store, MergeRules(grace=grace), SteppedClock())
    (name,) = map(str, merged(scribe.store, 1))
    return scribe, name


def test_a_sealed_archive_is_verified_as_any_other() -> None:
    scribe, name = merged_scribe()
    inner = MemoryStore()
    store = SealedStore(inner, keys())
    for each, body in scribe.store.objects.items():
        store.create(each, body)
    assert verify_full(store).damages == ()
    source = "e00000001/log/00000000000000000004.jsonl.zst"
    for bad in (name, source):
        inner.objects[bad] = inner.objects[bad][:-1] + bytes([inner.objects[bad][-1] ^ 1])
    restored = restore(store, AtRevision(4))
    assert restored.state.revision == 4
    damages = verify_full(store).damages
    assert [damage.object for damage in damages] == [source, name]
    assert damages[0].lost.startswith("after revision 4 ")
    assert damages[1].lost == "none"


def test_a_spoilt_merged_object_costs_nothing_while_its_sources_stay() -> None:
    scribe, name = merged_scribe()
    scribe.store.objects[name] = scribe.store.objects[name][:-1] + b"?"
    (damage,) = verify_full(scribe.store).damages

    assert (damage.object, damage.lost) == (name, "none")
    assert "`replicator compact` makes it anew" in damage.remedy


def test_a_spoilt_merged_object_without_its_sources_costs_all_that_it_held() -> None:
    scribe, name = merged_scribe(grace=timedelta(0))
    scribe.store.objects[name] = scribe.store.objects[name][:-1] + b"?"
    (damage,) = verify_full(scribe.store).damages

    assert damage.object == name
    assert damage.lost.startswith("after revision 2 ")
    assert damage.lost.endswith(
        "and before revision 8 (2026-01-01T00:00:06.000000Z), but for the snapshots between"
    )


@pytest.mark.parametrize("lie", [{"state_digest": OTHER}, {"previous": OTHER}], ids=str)
def test_a_merged_object_that_is_whole_and_lies_is_found(lie) -> None:
    scribe, name = merged_scribe(grace=timedelta(0))
    piece = parse_merged(name)
    inner = list(decode_piece(scribe.store.get(name), piece))
    inner[0] = structs.replace(inner[0], footer=structs.replace(inner[0].footer, **lie))
    scribe.store.objects[name] = encode_merged(inner, "liar", START)

    assert name in {damage.object for damage in verify_full(scribe.store).damages}


def test_what_lies_beside_a_merged_object_is_compared_with_it() -> None:
    scribe, name = merged_scribe()
    other = merged_scribe()[0]
    stray = "e00000001/log/00000000000000000005.jsonl.zst"
    body = objects.decode_segment(other.store.get(stray), stray)
    scribe.store.objects[stray] = objects.encode_segment(
        structs.replace(body.header, writer="stale"), body.batches, body.footer
    )
    inner = name.replace(name.split("/")[-1][:41], f"{3:020d}-{5:020d}")
    scribe.store.objects[inner] = b"whatever"
    found = verify_full(scribe.store)

    assert [(damage.object, damage.lost) for damage in found.damages] == [(inner, "none")]
    kinds = {note.what.split(":")[0]: note.objects for note in found.notes}
    assert kinds["held by a merged object as well"] == 5
    assert kinds["not what the merged object over it holds there"] == 1


@pytest.mark.parametrize(
    "lie",
    [
        {"digest_before": OTHER},
        {"digest_after": OTHER},
        {"base": 3},
        {"reason": "rewound"},
        {"observed_at": START},
    ],
    ids=str,
)
def test_a_gap_record_that_is_whole_and_lies_is_found(lie) -> None:
    scribe = written()
    scribe.open(EtcdModel(20), START + timedelta(seconds=60), "compacted")
    epoch = open_archive(scribe.store).epochs[1]
    text = b"".join(frame.unpack(scribe.store.get(epoch.gap.name), "")).splitlines()
    footer = msgspec.json.decode(text[-1]) | lie
    body = frame.pack(line + b"\n" for line in [*text[:-1], msgspec.json.encode(footer)])
    scribe.store.objects[epoch.gap.name] = body
    told = structs.replace(epoch, gap=structs.replace(epoch.gap, sha256=frame.digest_of(body)))
    scribe.store.objects[epoch_document(2)] = documents.encode(told)
    (damage,) = verify_full(scribe.store).damages

    assert damage.object == epoch.gap.name
    assert damage.lost.startswith("none by revision")


def test_stray_gap_records_and_acknowledgements_are_notes() -> None:
    scribe = written()
    scribe.store.create("e00000001/gap@20260101T000000.000000Z.jsonl.zst", b"of an attempt")
    acknowledged = GapAcknowledged(epoch=1, acknowledged_at=START)
    scribe.store.create("e00000001/gap-acknowledged.json", documents.encode(acknowledged))
    found = verify_full(scribe.store)

    assert found.damages == ()
    assert {note.first.split("/")[-1][:4] for note in found.notes} == {"chec", "gap@", "gap-"}


def test_a_point_that_cant_be_restored_is_told() -> None:
    scribe = written()
    add_point(scribe.store, "here", AtRevision(5), "", SteppedClock())
    scribe.store.delete(segments(scribe)[1])
    first, second = verify_full(scribe.store).damages

    assert (first.object, second.object) == (segments(scribe)[0].replace("02.", "03."), "points/here.json")
    assert second.lost == "the moment that it names, 2026-01-01T00:00:03.000000Z"


def test_a_checkpoint_before_the_first_epoch_is_an_empty_archive() -> None:
    store = Scribe(MemoryStore()).store
    position = Checkpoint(
        position=Position(0, 0), through_revision=0, observed_through=START, writer="w", written_at=START
    )
    store.create("checkpoint.json", documents.encode(position))
    with pytest.raises(UsageError, match="it has no epoch"):
        verify_full(store)


def test_a_record_of_retention_that_says_something_else_than_its_name_is_told() -> None:
    scribe = written()
    name = str(PrunedName(1, 4, START))
    record = Pruned(epoch=1, through=9, pruned_at=START, rule={}, snapshots=0, pieces=0)
    scribe.store.create(name, documents.encode(record))
    assert {damage.object for damage in verify_full(scribe.store).damages} == {name}


def test_where_retention_ended_there_has_to_be_a_snapshot() -> None:
    scribe = written(cut_after=(3,))
    record = Pruned(epoch=1, through=5, pruned_at=START, rule={}, snapshots=1, pieces=3)
    scribe.store.create(str(PrunedName(1, 5, START)), documents.encode(record))
    for doomed in [*segments(scribe)[:3], open_archive(scribe.store).epochs[0].snapshot]:
        scribe.store.delete(doomed)
    assert verify_full(scribe.store).damages == ()
    (name,) = (name for name in scribe.store.names("e00000001/snapshots/"))
    scribe.store.delete(name)
    (damage,) = verify_full(scribe.store).damages

    assert name.startswith(damage.object)
    assert damage.lost.startswith("from revision 5 on")
