"""Bytes made to harm: each ends in ArchiveDamaged, and none takes the memory that it asks for."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bombs import BOMBS, packed
from memory_store import MemoryStore
from servers.command import environment

from replicator.core import documents, limits, lines, names, objects
from replicator.core.documents import Archive, Checkpoint, Epoch
from replicator.core.records import Record
from replicator.errors import ArchiveDamaged, UsageError
from replicator.flows.open_archive import read_epochs

if TYPE_CHECKING:
    from collections.abc import Callable

TESTS = Path(__file__).parents[1]
MEMORY_BYTES = 1 << 30


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_ends_in_a_typed_error_within_bounded_memory(kind) -> None:
    done = subprocess.run(
        [sys.executable, TESTS / "bombs.py", kind, str(MEMORY_BYTES)],
        env=environment({"PYTHONPATH": f"{TESTS.parent}:{TESTS}"}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    *told, sizes = done.stdout.splitlines()
    body_bytes, peak_bytes = map(int, sizes.split())
    assert len(told) == 2, done.stderr
    assert all(line.startswith(("ArchiveDamaged: x is damaged", "GapInLog: ")) for line in told)
    assert body_bytes < 400_000
    assert peak_bytes < MEMORY_BYTES


def test_a_snapshot_larger_than_etcd_can_be_is_damage(monkeypatch) -> None:
    monkeypatch.setattr(objects, "STATE_BYTES", 1000)
    record = b'{"key":"/%d","create_revision":2,"mod_revision":2,"version":1,"lease":0,"value":1}\n'
    head = json.dumps(HEADER | {"kind": "snapshot"}).encode() + b"\n"
    with pytest.raises(ArchiveDamaged, match="more keys and values than etcd can hold"):
        objects.decode_snapshot(packed([head, *(record % number for number in range(9)), b"{}\n"]), "x")


def test_the_writer_holds_to_the_readers_limit(monkeypatch) -> None:
    monkeypatch.setattr(lines, "LINE_BYTES", 1000)
    assert lines.encode_record(b"/a", Record(b"x" * 880, 2, 2, 1, 0))
    with pytest.raises(UsageError, match=r"value of '/a' at revision 2 is too long") as raised:
        lines.encode_record(b"/a", Record(b"x" * 1000, 2, 2, 1, 0))
    assert "max-request-bytes" in raised.value.hint


@pytest.mark.parametrize(
    "value", [b"\0" * 3_000_000, b"\x01" * 3_000_000, b"\xff" * 3_000_000, b"1" * 3_000_000]
)
def test_what_compresses_well_and_is_meant_comes_back(value) -> None:
    key = b"/zeros"
    line = lines.encode_record(key, Record(value, 2, 2, 1, 0))
    assert len(line) < 6.1 * len(value)
    assert list(lines.decode_records(line, "x")) == [(key, Record(value, 2, 2, 1, 0))]


HEADER: dict[str, Any] = {"archive_id": "a", "epoch": 1, "revision": 1, "writer": "w", "format": 1}
EVENT: dict[str, Any] = {
    "op": "put",
    "observed_at": "2026-01-01T00:00:00Z",
    "key": "/a",
    "create_revision": 2,
    "mod_revision": 2,
    "version": 1,
    "lease": 0,
    "value_text": "x",
}
FOOTER: dict[str, Any] = {
    "events": 1,
    "last_revision": 2,
    "through_revision": 2,
    "observed_at": "2026-01-01T00:00:00Z",
    "observed_through": "2026-01-01T00:00:00Z",
    "state_digest": "0" * 64,
    "previous": "p",
}
RECORD = {name: EVENT[name] for name in list(EVENT)[2:]}
SNAPSHOT_FOOTER: dict[str, Any] = {
    "keys": 1,
    "through_revision": 2,
    "observed_through": "2026-01-01T00:00:00Z",
    "state_digest": "0" * 64,
    "segment": "s",
    "window": None,
}
NEST = 100_000
WRONG = [
    *(2**63, 2**64, -(2**63) - 1, -2, 10**300, 1.5, 1e400, True, None, "1", [], {}),
    *(
        "2026-01-01T00:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-13-01T00:00:00Z",
    ),
    *("\ud800", "x" * 3, ["a"], {"a": 1}),
]
RAW = [
    b"[" * NEST + b"]" * NEST,
    b'{"a":' * NEST + b"1" + b"}" * NEST,
    b"9" * 5000,
    b"-",
    b'"\\ud800"',
    b"\xff",
]


def segment(header: bytes, event: bytes, footer: bytes) -> None:
    objects.decode_segment(packed([header + b"\n", event + b"\n", footer + b"\n"]), "x")


def snapshot(header: bytes, record: bytes, footer: bytes) -> None:
    objects.decode_snapshot(packed([header + b"\n", record + b"\n", footer + b"\n"]), "x")


def written(members: dict[str, Any], name: str, value: object) -> bytes:
    """Return *members* as JSON, with *value*, which may be raw bytes, as *name*."""
    if not isinstance(value, bytes):
        return json.dumps(members | {name: value}).encode()
    text = json.dumps({key: member for key, member in members.items() if key != name})
    return text[:-1].encode() + b',"%s":' % name.encode() + value + b"}"


PARTS: dict[str, tuple[Callable[..., None], list[dict[str, Any]]]] = {
    "segment": (segment, [HEADER | {"kind": "segment"}, EVENT, FOOTER]),
    "snapshot": (snapshot, [HEADER | {"kind": "snapshot"}, RECORD, SNAPSHOT_FOOTER]),
}


@pytest.mark.parametrize("kind", PARTS)
def test_any_member_may_hold_anything(kind) -> None:
    """Either it means something, or it is damage; nothing else comes out."""
    decode, parts = PARTS[kind]
    tried = 0
    for place, members in enumerate(parts):
        for name in [*members, "unknown", "value", "value_base64", "key_base64", "not_before", "not_after"]:
            for value in [*WRONG, *RAW]:
                texts = [json.dumps(part).encode() for part in parts]
                texts[place] = written(members, name, value)
                tried += 1
                with suppress(ArchiveDamaged):
                    decode(*texts)
    assert tried > 500


DOCUMENTS: list[tuple[type[Any], dict[str, Any]]] = [
    (Archive, {"format": 1, "archive_id": "a", "prefix": "/a", "created_at": "2026-01-01T00:00:00Z"}),
    (
        Checkpoint,
        {
            "position": {"epoch": 1, "revision": 1},
            "through_revision": 1,
            "observed_through": "2026-01-01T00:00:00Z",
            "writer": "w",
            "written_at": "2026-01-01T00:00:00Z",
        },
    ),
    (
        Epoch,
        {
            "epoch": 1,
            "reason": "first",
            "cluster_id": "c",
            "base": 1,
            "observed_at": "2026-01-01T00:00:00Z",
            "snapshot": "../../etc/passwd",
            "writer": "w",
            "follows": None,
        },
    ),
]


def whole(text: bytes) -> bytes:
    """Return the document that begins with *text*, a JSON object, with the digest that fits."""
    return text[:-1] + b',"sha256":"' + hashlib.sha256(text[:-1]).hexdigest().encode() + b'"}\n'


@pytest.mark.parametrize(("kind", "members"), DOCUMENTS, ids=lambda value: getattr(value, "__name__", ""))
def test_any_member_of_a_document_may_hold_anything(kind, members) -> None:
    assert documents.decode(kind, whole(json.dumps(members).encode()), "x")
    for name in [*members, "unknown"]:
        for value in [*WRONG, *RAW]:
            told = (ArchiveDamaged, UsageError) if name == "format" else ArchiveDamaged
            with suppress(told):
                documents.decode(kind, whole(written(members, name, value)), "x")


@pytest.mark.parametrize(
    "name",
    [
        "e00000001/log/../../x",
        "e00000001/log/../log/00000000000000000041.jsonl.zst",
        "/e00000001/log/00000000000000000041.jsonl.zst",
        "e00000001/log/00000000000000000041.jsonl.zst\0",
        "e00000001/log/0000000000000000004\u0661.jsonl.zst",
        "e00000001/log/09223372036854775808.jsonl.zst",
        "e00000001/log/99999999999999999999.jsonl.zst",
        "e00000001/log/" + "0" * 100_000,
        "e00000001/snapshots/09223372036854775808@20260102T030405.000006Z.jsonl.zst",
        "e00000001/snapshots/00000000000000000041@00010101T000000.000000Z.jsonl.zst",
        "e00000001/snapshots/00000000000000000041@00260102T030405.000006Z.jsonl.zst",
        "e00000001/snapshots/00000000000000000041@99991231T235959.999999Z.jsonl.zst",
        "e00000001/snapshots/00000000000000000041@20260102T030405.\u0660\u0660\u0660\u0660\u0660\u0660Z.jsonl.zst",
    ],
)
def test_a_name_that_no_writer_makes_is_passed_over(name) -> None:
    assert (names.parse_log(name), names.parse_snapshot(name)) == (None, None)


def epoch_of(number: int) -> bytes:
    _, members = DOCUMENTS[2]
    return whole(json.dumps(members | {"epoch": number}).encode())


def test_an_epoch_under_anothers_name_is_damage() -> None:
    store = MemoryStore()
    for number in (1, 2):
        store.objects[names.epoch_document(number)] = epoch_of(1)
    with pytest.raises(ArchiveDamaged, match=r"e00000002/epoch\.json holds another epoch: number 1"):
        list(read_epochs(store))


def test_there_is_an_end_to_epochs(monkeypatch) -> None:
    class Endless(MemoryStore):
        def get(self, name: str) -> bytes:
            return epoch_of(int(name[1:].partition("/")[0]))

    monkeypatch.setattr("replicator.flows.open_archive.EPOCHS", 1000)
    with pytest.raises(ArchiveDamaged, match="has more than 1000 epochs"):
        list(read_epochs(Endless()))
    assert limits.EPOCHS == 1_000_000
