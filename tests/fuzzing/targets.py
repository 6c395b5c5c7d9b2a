"""What is fuzzed: for each codec, bytes to begin with, and a check that holds for any bytes.

Any bytes either decode or raise ArchiveDamaged (for a newer format, UsageError), and what decodes comes back
when it is encoded again. A check that fails raises something else.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from bombs import framed, packed
from gateway_values import TRICKY_TEXTS, lua
from memory_store import MemoryStore
from servers.keys import some_key

from replicator.adapters.key_file import FileKeys
from replicator.adapters.sealed import SealedStore
from replicator.apisix import Options, cjson, render
from replicator.core import documents, frame, lines, names, objects, sealing
from replicator.core.documents import Archive, Checkpoint, Epoch
from replicator.errors import ArchiveDamaged, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.lua import Lyaml


@dataclass(frozen=True)
class Target:
    """A codec: its *name*, bytes that it takes, and what must hold for any bytes."""

    name: str
    seeds: list[bytes]
    check: Callable[[bytes], None]


def _frame(data: bytes) -> None:
    with suppress(ArchiveDamaged):
        text = b"".join(frame.unpack(framed(data), "x", 1 << 24))
        assert b"".join(frame.unpack(frame.pack([text]), "x")) == text
    with suppress(ArchiveDamaged):
        list(frame.unpack(data, "x", 1 << 24))


def _segment(data: bytes) -> None:
    with suppress(ArchiveDamaged):
        segment = objects.decode_segment(packed([data]), "x")
        again = objects.encode_segment(segment.header, segment.batches, segment.footer)
        assert msgspec.structs.replace(
            objects.decode_segment(again, "x"), digest=""
        ) == msgspec.structs.replace(segment, digest="")


def _snapshot(data: bytes) -> None:
    with suppress(ArchiveDamaged):
        snapshot = objects.decode_snapshot(packed([data]), "x")
        again = objects.encode_snapshot(snapshot.header, snapshot.state, snapshot.footer)
        decoded = objects.decode_snapshot(again, "x")
        assert decoded.state.digest == snapshot.state.digest
        assert (decoded.header, decoded.footer) == (snapshot.header, snapshot.footer)


def _records(data: bytes) -> None:
    with suppress(ArchiveDamaged):
        records = list(lines.decode_records(data, "x"))
        again = b"".join(lines.encode_record(*pair) for pair in records)
        assert list(lines.decode_records(again, "x")) == records


def _document(data: bytes) -> None:
    for kind in (Archive, Epoch, Checkpoint):
        with suppress(ArchiveDamaged, UsageError):
            documents.decode(kind, data, "x")
        with suppress(ArchiveDamaged, UsageError):
            document = documents.decode(kind, documents.sealed(data), "x")
            assert documents.decode(kind, documents.encode(document), "x") == document


def _names(data: bytes) -> None:
    name = data.decode(errors="surrogateescape")
    for parsed in (names.parse_log(name), names.parse_snapshot(name)):
        assert parsed is None or str(parsed) == name


def _sealed(data: bytes) -> None:
    inner = MemoryStore()
    inner.objects["x"] = data
    with suppress(ArchiveDamaged, UsageError):
        SealedStore(inner, FileKeys([some_key()])).get("x")
        raise AssertionError("a forgery") if data != _ENVELOPE else ArchiveDamaged("as it was")


def _cjson(data: bytes) -> None:
    assert _outcome(cjson.decode, data) == _outcome(cjson.decode_leniently, data)


def _outcome(decode: Callable[[bytes], Any], data: bytes) -> str:
    try:
        return repr(decode(data))
    except cjson.NotJson:
        return "refused"


def yaml_target(lyaml: Lyaml) -> Target:
    """Return the renderer of gateways' files as a target, with *lyaml* to read what it writes."""

    def check(data: bytes) -> None:
        for style in ("flow", "block"):
            rendering = render([(b"/apisix/plugin_metadata/1", data)], Options(), style=style)
            read = lyaml(b"".join(rendering.chunks(["a comment"])))
            told = rendering.report
            if not (told.refused or told.inexact or told.ignored or told.unopened):
                expected = {"plugin_metadata": [cjson.decode(data)]}
                assert _comparable(lua(read)) == _comparable(lua(expected)), style

    texts = [json.dumps({"id": "1", "x": text}).encode() for text in TRICKY_TEXTS]
    keys = [json.dumps({"id": "1", text: [text, {"a": {}}]}).encode() for text in TRICKY_TEXTS]
    return Target("yaml", [*texts, *keys, b'{"id":"1","x":[1,-0.5,1e400,[[],{}],true,[null]]}'], check)


def _comparable(value: Any) -> Any:
    """Return *value* with NaN as a word, since it equals nothing."""
    if isinstance(value, float) and math.isnan(value):
        return "<nan>"
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items()}
    return [_comparable(item) for item in value] if isinstance(value, list | tuple) else value


_HEADER = b'{"kind":"%s","archive_id":"a","epoch":1,"revision":1,"writer":"w","format":1}\n'
_RECORD = (
    b'"key":"/a","create_revision":2,"mod_revision":2,"version":1,"lease":0,"value":{"uri":"/a"}}\n',
    b'"key_base64":"/w==","create_revision":2,"mod_revision":2,"version":1,"lease":-7,"value_text":"x\\n"}\n',
    b'"key":"/c","create_revision":2,"mod_revision":2,"version":1,"lease":0,"value_base64":"/w=="}\n',
)
_STAMP = b'{"op":"put","observed_at":"2026-01-01T00:00:00Z",'
_LATE = _STAMP + b'"not_before":"2025-12-31T00:00:00Z","not_after":"2026-01-01T00:00:00.5Z",'
_DELETE = b'{"op":"delete","observed_at":"2026-01-01T00:00:01Z","key":"/a","mod_revision":3}\n'
_FOOT = (
    b'"through_revision":9,"observed_through":"2026-01-01T00:00:02Z","state_digest":"0000000000000000000000000'
    b'000000000000000000000000000000000000000"'
)
_SEGMENT = b"".join(
    [
        _HEADER % b"segment",
        *(_STAMP + record for record in _RECORD),
        _DELETE,
        b'{"events":4,"last_revision":3,"observed_at":"2026-01-01T00:00:01Z","previous":"p",'
        + _FOOT
        + b"}\n",
    ]
)
_LATE_SEGMENT = b"".join(
    [
        _HEADER % b"segment",
        _LATE + _RECORD[0],
        b'{"events":1,"last_revision":2,"observed_at":"2026-01-01T00:00:00Z","previous":"p",'
        + _FOOT
        + b"}\n",
    ]
)
_EMPTY_SNAPSHOT = _HEADER % b"snapshot" + b'{"keys":0,"segment":"","window":null,' + _FOOT + b"}\n"
_DOCUMENTS = [
    b'{"format":1,"archive_id":"a","prefix":"/a","created_at":"2026-01-01T00:00:00Z"}',
    (
        b'{"position":{"epoch":1,"revision":1},"through_revision":1,"observed_through":"2026-01-01T00:00:00Z",'
        b'"writer":"w","written_at":"2026-01-01T00:00:00Z"}'
    ),
    (
        b'{"epoch":2,"reason":"compacted","cluster_id":"c","base":1,"observed_at":"2026-01-01T00:00:00Z",'
        b'"snapshot":"s","writer":"w","follows":{"position":{"epoch":1,"revision":1},"through_revision":1,'
        b'"observed_through":"2026-01-01T00:00:00Z","segment":"s"}}'
    ),
]
_NAMES = [
    b"e00000001/log/00000000000000000041.jsonl.zst",
    b"e00000002/snapshots/00000000000000000041@20260102T030405.000006Z.jsonl.zst",
    b"e00000002/snapshots/00000000000000000041@20260102T030405.000006Z.base.jsonl.zst",
]
_ENVELOPE = sealing.seal(some_key(), bytes(12), "x", b"some object")
_VALUES = [
    b'{"a":[1,2.5,-0,"x\\u00e9\\n",true,false,null],"b":{}}',
    *(b"010", b"+5", b"0x1F", b"1.", b"-.5", b"1e400", b"inf", b"nan", b"9223372036854775808", b'"\xff\x01"'),
    *(b' {"a" : [ ] } ', b'{"a":1}\0x', b'"\\ud83d\\ude00"', b"[" * 30 + b"]" * 30),
]

TARGETS = [
    Target("frame", [packed([_SEGMENT])[:-40], packed([b""])[:-40]], _frame),
    Target("segment", [_SEGMENT, _LATE_SEGMENT], _segment),
    Target("snapshot", [_EMPTY_SNAPSHOT], _snapshot),
    Target("records", [b"".join(b"{" + record for record in _RECORD)], _records),
    Target("document", _DOCUMENTS, _document),
    Target("names", _NAMES, _names),
    Target("sealed", [_ENVELOPE], _sealed),
    Target("cjson", _VALUES, _cjson),
]
"""All codecs but the renderer, which needs lyaml: `yaml_target`."""
