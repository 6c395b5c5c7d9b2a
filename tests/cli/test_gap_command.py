"""`replicator gap`, and what `list` and `status` say of gaps."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from archives import Scribe
from etcd_model import EtcdModel
from generators import START
from servers.command import answered, called

from replicator.adapters.directory import DirectoryStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def archive(tmp_path: Path) -> str:
    """Return an archive with one gap: a key created, one updated, one deleted, one written anew."""
    scribe, etcd = Scribe(DirectoryStore(tmp_path / "archive")), EtcdModel()  # type: ignore[arg-type]
    for key in (b"a", b"b", b"c", b"d"):
        etcd.put(b"/apisix/" + key, b"1")
    scribe.open(etcd, START)
    etcd.put(b"/apisix/a", b"2")
    etcd.put(b"/apisix/b", b"1")
    etcd.delete(b"/apisix/c")
    etcd.put(b"/apisix/\xff\x1b", b"1")
    scribe.open(etcd, START + timedelta(minutes=5), "compacted")
    return f"--archive=file://{tmp_path}/archive"


def test_a_gap_is_listed_shown_and_acknowledged(archive) -> None:
    (gap,) = answered("gap", "list", archive)["gaps"]
    assert (gap["epoch"], gap["reason"], gap["seconds"]) == (2, "compacted", 300)
    assert (gap["after_revision"], gap["before_revision"]) == (5, 9)
    assert [gap[name] for name in ("created", "updated", "deleted", "same_value")] == [1, 2, 1, 1]
    assert gap["acknowledged_at"] is None
    assert [gap] == answered("list", archive)["gaps"]
    assert answered("status", archive)["unacknowledged_gaps"] == 1
    assert b"gaps       1, 1 not acknowledged" in called("status", archive).out

    shown = answered("gap", "show", "2", archive)
    assert gap == shown["gap"]
    assert shown["keys"] == [
        {"op": "updated", "key": "/apisix/a", "before": 2, "after": 6},
        {"op": "updated", "key": "/apisix/b", "before": 3, "after": 7, "same_value": True},
        {"op": "deleted", "key": "/apisix/c", "before": 4},
        {"op": "created", "key_base64": "L2FwaXNpeC//Gw==", "after": 9},
    ]

    acknowledged = answered("gap", "ack", "2", "--note", "a maintenance", archive)
    assert acknowledged["already"] is False
    assert acknowledged["gap"]["note"] == "a maintenance"
    again = called("gap", "ack", "2", "--note", "another", archive)
    assert (again.code, again.out) == (0, b"")
    assert "acknowledged already" in again.err
    assert "a maintenance" in again.err
    assert answered("gap", "list", archive)["gaps"] == [acknowledged["gap"]]
    assert answered("status", archive)["unacknowledged_gaps"] == 0


def test_people_read_the_same(archive) -> None:
    for command in (("list",), ("gap", "list"), ("gap", "show", "2")):
        out = called(*command, archive).out.decode()
        assert "gap of 5m before epoch 2 (compacted): nobody recorded what happened" in out
        assert "1 keys created, 2 updated (1 with the same value), 1 deleted" in out
        assert "replicator gap ack 2" in out
    assert [line.split() for line in out.splitlines()[-4:]] == [
        ["~", "2", "6", "/apisix/a"],
        ["=", "3", "7", "/apisix/b"],
        ["-", "4", "-", "/apisix/c"],
        ["+", "-", "9", r"/apisix/\\xff\\x1b"],
    ]
    outcome = called("gap", "ack", "2", archive)
    assert "is acknowledged" in outcome.err
    assert b"acknowledged 20" in called("list", archive).out


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["ack", "1"], "no gap before epoch 1"),
        (["show", "3"], "no gap before epoch 3"),
        (["ack", "two"], '"two" is no epoch'),
        (["ack"], "Missing argument"),
        (["forget", "2"], "No such command"),
    ],
)
def test_what_is_no_gap_is_told(archive, arguments, what) -> None:
    outcome = called("gap", *arguments, archive)
    assert outcome.code == 2
    assert what in outcome.err


def test_a_restore_into_a_gap_says_so_loudly(archive, tmp_path) -> None:
    target = ("restore", "--revision", "7", archive)
    refused = called(*target)
    assert refused.code == 3
    assert refused.out == b""
    assert "--allow-gap" in refused.err
    outcome = called(*target, "--allow-gap", "--report", tmp_path / "report")
    assert outcome.code == 0
    assert "IN A GAP: nobody recorded what happened then." in outcome.err
    assert b"# IN A GAP: nobody recorded" in outcome.out
    report = json.loads((tmp_path / "report").read_bytes())
    assert (report["in_gap"], report["epoch"], report["revision"]) == (True, 1, 5)
    assert report["gap_ends_at"] == "2026-01-01T00:05:00.000000Z"
    outside = called("restore", "--revision", "5", "--allow-gap", archive)
    assert "GAP" not in outside.err
