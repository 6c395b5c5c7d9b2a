"""What history and blame say across a gap."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from archives import Scribe
from etcd_model import EtcdModel
from generators import START
from servers.command import answered, called

from replicator.adapters.directory import DirectoryStore
from replicator.core.records import Batch

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def gap(tmp_path: Path) -> str:
    """Return an archive with one gap across which keys differ."""
    scribe, etcd = Scribe(DirectoryStore(tmp_path / "archive")), EtcdModel()  # type: ignore[arg-type]
    etcd.put(b"/apisix/routes/1", b'{"uri":"/a"}')
    scribe.open(etcd, START)
    etcd.put(b"/apisix/routes/1", b'{"uri":"/b"}')
    etcd.put(b"/apisix/routes/\xff\x1b[2J", b"no json")
    scribe.open(etcd, START.replace(hour=5), "compacted")
    etcd.put(b"/apisix/routes/1", b'{"uri":"/c"}')
    moment = START.replace(hour=6)
    scribe.append([Batch(etcd.head, moment, etcd.history[-1][1])])
    return f"--archive=file://{tmp_path}/archive"


def test_a_gap_is_told_with_what_came_of_it(gap: str) -> None:
    answer = called("history", gap)
    text = answer.out.decode()
    assert "A GAP (compacted); nobody saw the single changes, 2 keys differ" in text
    assert 'routes/1  uri: "/a" -> "/b"' in text
    assert 'routes/1  uri: "/b" -> "/c"' in text
    assert "\x1b" not in text
    (first, second) = [
        json.loads(line) for line in called("history", "routes/1", "--json", gap).out.splitlines()
    ]
    assert (first["kind"], first["reason"], second["kind"]) == ("gap", "compacted", "change")
    (line,) = answered("blame", "routes/1", gap)
    assert (line["revision"], line["is_before"]) == (second["revision"], False)
    (line,) = answered("blame", "routes/1", "--at", str(first["revision"]), gap)
    assert (line["value"], line["is_before"]) == ("/b", True)


def test_a_secret_that_changed_is_told_and_not_shown(tmp_path: Path) -> None:
    scribe, etcd = Scribe(DirectoryStore(tmp_path / "archive")), EtcdModel()  # type: ignore[arg-type]
    etcd.put(b"/apisix/ssls/1", b'{"key":"first-secret"}')
    scribe.open(etcd, START)
    etcd.put(b"/apisix/ssls/1", b'{"key":"other-secret"}')
    scribe.append([Batch(etcd.head, START.replace(hour=1), etcd.history[-1][1])])
    words = ("diff", str(etcd.head - 1), "latest", f"--archive=file://{tmp_path}/archive")
    told = {way: called(*words, *way).out.decode() for way in ((), ("--unified",), ("--json",))}
    assert "key: *** changed" in told[()]
    assert "only secrets differ" in told["--unified",]
    assert json.loads(told["--json",])[0]["patch"] == [{"op": "replace", "path": "/key", "value": "***"}]
    assert not any("secret" in text.replace("only secrets differ", "") for text in told.values())
    assert "other-secret" in called(*words, "--unified", "--reveal").out.decode()
