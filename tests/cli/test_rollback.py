"""rollback, and restore --to-etcd: real etcds judge what was written, and by whom."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from archives import Scribe
from etcd_model import EtcdModel
from etcd_oracle import held, transact
from generators import START
from servers.command import Complaint, Outcome, called, running
from servers.etcd_json import EtcdJson

from replicator.adapters.directory import DirectoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.etcd import Etcd

ROUTE = {"uri": "/a", "service_id": "1"}
SERVICE = {"upstream_id": "1"}
UPSTREAM = {"type": "roundrobin", "nodes": {"10.0.0.1:80": 1}}


@dataclass
class Shop:
    """A recorded etcd with a route, its service and upstream; at the revision `good` all is well."""

    settings: Path
    client: EtcdJson
    prefix: str
    good: int
    recorder: Any

    def put(self, resource: str, document: object) -> int:
        """Put a resource, and wait until it is recorded."""
        revision = self.client.put(f"{self.prefix}/{resource}", json.dumps(document))
        self.recorder.stores(revision)
        return revision

    def delete(self, *resources: str) -> int:
        """Delete resources in one transaction, and wait until that is recorded."""
        keys = [f"{self.prefix}/{resource}".encode() for resource in resources]
        revision = transact(self.client, [(key, None, 0) for key in keys])
        self.recorder.stores(revision)
        return revision

    def call(self, *words: object) -> Outcome:
        """Call a command with the settings."""
        return called("-c", self.settings, *words)

    def live(self) -> dict[str, Any]:
        """Return what etcd holds, by resource."""
        root = f"{self.prefix}/"
        found = held(self.client, root.encode(), 0)
        return {key.decode().removeprefix(root): json.loads(record.value) for key, record in found.items()}


@pytest.fixture
def shop(settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path) -> Iterator[Shop]:
    """Return a shop that is being recorded."""
    path = settings(capture={"flush_interval": "0"})
    with running(tmp_path / "log", "-c", path) as recorder:
        recorder.tells("watch.started")
        shop = Shop(path, client, prefix, 0, recorder)
        shop.put("upstreams/1", UPSTREAM)
        shop.put("services/1", SERVICE)
        shop.good = shop.put("routes/1", ROUTE)
        yield shop
        assert recorder.stop() == 0


def test_one_resource_is_what_it_was_and_nothing_else_is(shop: Shop) -> None:
    shop.put("routes/1", ROUTE | {"uri": "/wrong"})
    shop.put("routes/2", {"uri": "/two"})
    dry = shop.call("rollback", "routes/1", "--to", shop.good, "--dry-run")
    assert dry.code == 0
    assert 'uri: "/wrong" -> "/a"' in dry.err
    assert shop.live()["routes/1"]["uri"] == "/wrong"
    before = shop.live()
    done = shop.call("rollback", "routes/1", "--to", shop.good, "--yes", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["keys"] == [["routes/1", "update"]]
    assert shop.live() == before | {"routes/1": ROUTE}
    again = shop.call("rollback", "routes/1", "--to", shop.good, "--yes", "--json")
    assert json.loads(again.out)["keys"] == []
    assert shop.call("diff", shop.good, "live", "--only", "routes/1", "--exit-code").code == 0


def test_what_it_refers_to_and_is_gone_is_written_along(shop: Shop) -> None:
    shop.delete("routes/1", "services/1", "upstreams/1")
    done = shop.call("rollback", "routes/1", "--to", shop.good, "--yes", "--json")
    assert done.code == 0, done.err
    assert [key for key, _ in json.loads(done.out)["keys"]] == ["upstreams/1", "services/1", "routes/1"]
    live = shop.live()
    assert (live["routes/1"], live["services/1"], live["upstreams/1"]) == (ROUTE, SERVICE, UPSTREAM)


def test_what_it_refers_to_and_differs_is_left_alone_unless_it_is_meant(shop: Shop) -> None:
    shop.put("services/1", SERVICE | {"desc": "newer"})
    shop.put("routes/1", ROUTE | {"uri": "/wrong"})
    done = shop.call("rollback", "routes/1", "--to", shop.good, "--yes")
    assert "services/1; --with-references" in done.err
    assert shop.live()["services/1"] == SERVICE | {"desc": "newer"}
    shop.call("rollback", "routes/1", "--to", shop.good, "--yes", "--with-references")
    assert shop.live()["services/1"] == SERVICE


def test_what_was_not_there_is_deleted_unless_something_refers_to_it(shop: Shop) -> None:
    shop.put("upstreams/9", UPSTREAM)
    shop.put("routes/9", {"uri": "/nine", "upstream_id": "9"})
    refused = shop.call("rollback", "upstreams/9", "--to", shop.good, "--yes")
    assert refused.code == 7
    assert "routes/9 refer to it now: nothing was written" in refused.err
    assert "upstreams/9" in shop.live()
    assert shop.call("rollback", "routes/9", "--to", shop.good, "--yes").code == 0
    assert shop.call("rollback", "upstreams/9", "--to", shop.good, "--yes").code == 0
    assert not {"routes/9", "upstreams/9"} & set(shop.live())


def test_a_reference_that_nobody_has_is_refused(shop: Shop) -> None:
    moment = shop.put("routes/3", {"uri": "/three", "upstream_id": "nowhere"})
    shop.delete("routes/3")
    refused = shop.call("rollback", "routes/3", "--to", moment, "--yes")
    assert refused.code == 7
    assert "upstreams/nowhere, which neither" in refused.err
    assert "routes/3" not in shop.live()
    assert shop.call("rollback", "routes/3", "--to", moment, "--yes", "--force").code == 0
    assert "routes/3" in shop.live()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rollback", "routes/77", "--to", "latest", "--yes"), "wasn't there then, and isn't now"),
        (("rollback", "routes", "--to", "latest"), "which of them"),
        (("rollback", "routes/1"), "--to"),
        (("rollback", "routes/1", "--to", "noon"), "no moment"),
        (("restore", "--latest", "--only", "routes"), "go with --to-etcd"),
        (("restore", "--latest", "--to-etcd", "localhost"), "--to-etcd"),
        (("restore", "--latest", "--to-etcd", "http://127.0.0.1:1", "-o", "x"), "go without -o"),
    ],
)
def test_what_is_wrong_is_told(shop: Shop, words: tuple[object, ...], message: str) -> None:
    answer = shop.call(*words)
    assert (answer.code, answer.out) == (2, b""), answer.err
    assert message in answer.err


def test_without_anybody_to_agree_nothing_is_written(shop: Shop) -> None:
    shop.put("routes/1", ROUTE | {"uri": "/wrong"})
    answer = shop.call("rollback", "routes/1", "--to", shop.good)
    assert answer.code == 2
    assert "say --yes" in answer.err
    assert shop.live()["routes/1"]["uri"] == "/wrong"


def test_an_empty_etcd_becomes_what_was_recorded(shop: Shop, etcd_factory: Callable[..., Etcd]) -> None:
    placeholder = shop.client.put(f"{shop.prefix}/routes/", "init_dir")
    shop.recorder.stores(placeholder)
    odd = shop.client.put(f"{shop.prefix}/routes/odd".encode(), b"\xff\x00 no json")
    shop.recorder.stores(odd)
    lease = shop.client.grant(600)
    beat = shop.client.put(f"{shop.prefix}/data_plane/server_info/x", "{}", lease)
    shop.recorder.stores(beat)
    fresh = etcd_factory()
    words = ("restore", "--latest", "--to-etcd", fresh.endpoint, "--yes", "--json")
    done = shop.call(*words)
    assert done.code == 0, done.err
    with EtcdJson(fresh.endpoint) as client:
        theirs = held(client, shop.prefix.encode(), 0)
    ours = held(shop.client, shop.prefix.encode(), 0)
    assert {key: record.value for key, record in theirs.items()} == {
        key: record.value for key, record in ours.items() if not record.lease
    }
    assert json.loads(shop.call(*words).out)["keys"] == []


def test_a_live_etcd_is_set_back_and_deletes_must_be_allowed(shop: Shop, shared_etcd: Etcd) -> None:
    shop.put("routes/1", ROUTE | {"uri": "/wrong"})
    shop.put("routes/2", {"uri": "/two"})
    shop.put("consumers/x", {"username": "x"})
    words = ("restore", "--revision", shop.good, "--to-etcd", shared_etcd.endpoint, "--yes")
    refused = shop.call(*words)
    assert refused.code == 7
    assert "would delete 2 keys" in refused.err
    assert shop.live()["routes/1"]["uri"] == "/wrong"
    assert shop.call(*words, "--only", "routes", "--max-deletes", "1").code == 0
    assert shop.live()["routes/1"] == ROUTE
    assert "routes/2" not in shop.live()
    assert "consumers/x" in shop.live()
    assert shop.call(*words, "--max-deletes", "1", "--dry-run").code == 0
    assert "consumers/x" in shop.live()
    assert shop.call(*words, "--max-deletes", "1").code == 0
    assert shop.call("diff", shop.good, "live", "--exit-code").code == 0


def test_only_what_leaves_no_reference_into_nothing(shop: Shop, etcd_factory: Callable[..., Etcd]) -> None:
    fresh = etcd_factory()
    refused = shop.call("restore", "--latest", "--to-etcd", fresh.endpoint, "--yes", "--only", "routes")
    assert refused.code == 7
    assert "routes/1 to services/1" in refused.err


def test_an_etcd_that_lets_us_read_alone(guarded_etcd: Etcd, tmp_path: Path) -> None:
    scribe, etcd = Scribe(DirectoryStore(tmp_path / "archive")), EtcdModel()  # type: ignore[arg-type]
    etcd.put(b"/apisix/routes/7", b"{}")
    scribe.open(etcd, START)
    path = tmp_path / "guarded.yaml"
    reader = {"username": "reader", "password": Complaint.SECRET}
    path.write_text(json.dumps({"etcd": reader, "archive": f"file://{tmp_path}/archive"}))
    words = ("restore", "--latest", "--to-etcd", guarded_etcd.endpoint, "--yes", "--max-deletes", "9")
    refused = called("-c", path, *words)
    assert refused.code == 5, refused.err
    assert "0 of 2 keys are written, and 2 are not" in refused.err
    assert "needs a role with write permission" in refused.err
    assert Complaint.SECRET not in refused.err


def test_an_etcd_that_is_away_is_told(tmp_path: Path, recorded_story) -> None:
    answer = called(
        "restore", "--latest", "--archive", recorded_story.url, "--to-etcd", "http://127.0.0.1:1", "--yes"
    )
    assert answer.code == 5
    assert "http://127.0.0.1:1" in answer.err
    assert not list(tmp_path.iterdir())


def test_another_user_may_write(guarded_etcd: Etcd, tmp_path: Path) -> None:
    scribe, etcd = Scribe(DirectoryStore(tmp_path / "archive")), EtcdModel()  # type: ignore[arg-type]
    etcd.put(b"/apisix/routes/7", b'{"uri":"/seven"}')
    scribe.open(etcd, START)
    user = {"REPLICATOR_ETCD_USERNAME": "root", "REPLICATOR_ETCD_PASSWORD": "root"}
    archive = f"--archive=file://{tmp_path}/archive"
    words = (
        "restore",
        "--latest",
        archive,
        "--to-etcd",
        guarded_etcd.endpoint,
        "--only",
        "routes/7",
        "--yes",
    )
    done = called(*words, env=user)
    assert done.code == 0, done.err
    root = ("--user", "root:root")
    assert b"/seven" in guarded_etcd.ctl("get", "/apisix/routes/7", *root)
    guarded_etcd.ctl("del", "/apisix/routes/7", *root)
