"""The stand-in gateway itself: that it reads, serves, keeps and loses as APISIX does."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

import pytest
from servers.command import until
from servers.etcd_json import EtcdJson
from servers.gateway import GatewayDied, gateway_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers.etcd import Etcd
    from servers.gateway import Gateway

AWAY = "http://127.0.0.1:1"
SEALED = "C+aUd4gwGzjaNqODwbXWYw=="  # "jacks-key", sealed with the first key of APISIX's default keyring
ONE = b'routes: [{id: "1", uri: /one}]\n#END\n'


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """Return a gateway that isn't started."""
    with gateway_in(tmp_path / "gateway", variables={"SET": "yes"}) as made:
        yield made


def in_file_mode(gateway: Gateway, text: bytes, provider: str = "yaml") -> None:
    """Start it on a standalone file."""
    (gateway.conf / "config.yaml").write_bytes(gateway.config(AWAY, provider=provider))
    (gateway.conf / f"apisix.{provider}").write_bytes(text)
    gateway.start()


def write(gateway: Gateway, text: bytes, later: int = 1) -> None:
    """Write the file anew, with an mtime that many seconds later than its last."""
    path = gateway.conf / "apisix.yaml"
    mtime = int(path.stat().st_mtime) + later
    fresh = path.with_suffix(".new")
    fresh.write_bytes(text)
    os.utime(fresh, (mtime, mtime))
    fresh.rename(path)


def test_it_serves_what_its_file_says_and_follows_it(gateway: Gateway) -> None:
    in_file_mode(gateway, ONE)
    assert gateway.is_ready
    assert gateway.get("/one")[1]["route"] == "1"
    assert gateway.get("/two")[0] == 404
    write(gateway, ONE.replace(b"one", b"two"))
    until(lambda: gateway.serves("/two"), "the file is read again")
    assert not gateway.serves("/one")
    write(gateway, ONE.replace(b"one", b"three"), later=0)
    write(gateway, b"routes: [", later=1)
    until(lambda: "missing valid end flag" in gateway.said(), "a file without its end is seen")
    write(gateway, b"routes: [\n#END", later=1)
    until(lambda: "did not find expected node content" in gateway.said(), "a bad file is seen")
    assert gateway.serves("/two")


@pytest.mark.parametrize("text", [b"routes: [", b"", b"# nothing\n#END\n", b"a: ${{NOT_SET_}}\n#END\n"])
def test_files_that_stop_a_start_or_a_reload(gateway: Gateway, text: bytes) -> None:
    with pytest.raises(GatewayDied):
        in_file_mode(gateway, text)
    (gateway.conf / "apisix.yaml").write_bytes(ONE)
    gateway.start()
    write(gateway, text)
    assert gateway.reload().returncode == 1
    assert gateway.serves("/one")


def test_a_missing_end_starts_it_empty(gateway: Gateway) -> None:
    in_file_mode(gateway, b"routes: [{id: 1, uri: /one}]\n")
    assert not gateway.is_ready
    assert gateway.get("/one")[0] == 404


def test_a_bad_item_alone_is_dropped_and_a_scalar_breaks_its_list(gateway: Gateway) -> None:
    in_file_mode(
        gateway, b'routes: [{id: "1", uri: "${{SET}}"}, {id: "2"}, {id: x/y, uri: /a}, what]\n#END\n'
    )
    assert gateway.held()["routes"] == {"1": {"id": "1", "uri": "yes"}}
    write(gateway, b"routes: [{id: 1, uri: /new}, 7]\nservices: {}\n#END\n")
    until(lambda: "failed to fetch data" in gateway.said(), "the broken list is seen")
    assert gateway.held()["routes"] == {"1": {"id": "1", "uri": "yes"}}


def test_a_plugin_is_there_only_at_the_write_after_the_one_that_loads_it(gateway: Gateway) -> None:
    used = b'routes: [{id: "1", uri: /one, plugins: {cors: {}}}]\n#END\n'
    in_file_mode(gateway, b"plugins: []\nroutes: []\n#END\n")
    write(gateway, b"plugins: [{name: cors}]\n" + used)
    until(lambda: "unknown plugin [cors]" in gateway.said(), "the plugin isn't there yet")
    write(gateway, b"plugins: [{name: cors}]\n" + used)
    until(lambda: gateway.serves("/one"), "it is")


def test_json_is_read_but_never_ready(gateway: Gateway) -> None:
    in_file_mode(gateway, b'{"routes": [{"id": "1", "uri": "/one"}]}', provider="json")
    assert gateway.serves("/one")
    assert not gateway.is_ready


def test_it_follows_etcd_and_keeps_what_it_has_without_it(gateway: Gateway, etcd: Etcd) -> None:
    consumer = {"username": "jack", "plugins": {"key-auth": {"key": SEALED}}}
    (gateway.conf / "config.yaml").write_bytes(gateway.config(etcd.endpoint))
    with EtcdJson(etcd.endpoint) as client:
        client.put("/apisix/routes/1", '{"uri": "/one", "plugins": {"key-auth": {}}}')
        client.put("/apisix/consumers/jack", json.dumps(consumer))
        gateway.start()
        client.put("/apisix/routes/2", '{"uri": "/two"}')
    until(lambda: gateway.serves("/two"), "the watch brings the route")
    assert gateway.get("/one", "jacks-key")[1]["consumer"] == "jack"
    assert gateway.get("/one", SEALED)[0] == 401
    etcd.kill()
    assert gateway.is_ready
    assert gateway.serves("/two")
    # Reloaded into etcd mode without an etcd, it has nothing any more.
    assert gateway.reload().returncode == 0
    until(lambda: gateway.held()["generation"] == 1, "new workers have begun")
    assert not gateway.is_ready
    assert gateway.get("/two")[0] == 404
    gateway.kill()
    with pytest.raises(GatewayDied, match="all etcd nodes are unavailable"):
        gateway.start()
    gateway.start("start")
    assert not gateway.is_ready
    etcd.start()
    until(lambda: gateway.is_ready, "etcd is back")
    assert gateway.serves("/two")


def test_a_file_is_never_decrypted(gateway: Gateway) -> None:
    auth = f"consumers: [{{username: jack, plugins: {{key-auth: {{key: {SEALED}}}}}}}]\n"
    in_file_mode(
        gateway, b"routes: [{id: 1, uri: /one, plugins: {key-auth: {}}}]\n" + auth.encode() + b"#END\n"
    )
    assert gateway.get("/one", "jacks-key")[0] == 401
    assert gateway.get("/one", SEALED)[0] == 200


def test_no_request_is_refused_while_it_reloads(gateway: Gateway) -> None:
    in_file_mode(gateway, ONE)
    failures: list[object] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            try:
                status, _ = gateway.get("/one")
            except OSError as error:
                status = error
            if status != 200:
                failures.append(status)

    asking = threading.Thread(target=ask)
    asking.start()
    for number in range(1, 4):
        assert gateway.reload().returncode == 0
        until(lambda number=number: gateway.held()["generation"] == number, "new workers have begun")
    is_over.set()
    asking.join()
    assert failures == []


def test_a_config_that_is_none_reloads_nothing(gateway: Gateway) -> None:
    in_file_mode(gateway, ONE)
    config = gateway.conf / "config.yaml"
    for text in (
        "deployment: [",
        "7",
        "deployment: {role: queen}",
        "deployment: {role_data_plane: 7, role: data_plane}",
    ):
        config.write_text(text)
        done = gateway.reload()
        assert done.returncode == 1
        assert done.stderr
    assert gateway.held()["generation"] == 0
    config.write_bytes(gateway.config(AWAY, provider="yaml"))
    gateway.turn("reload-fails")
    assert gateway.reload().returncode == 1
    gateway.turn("reload-fails", on=False)
    gateway.turn("reload-is-lost")
    assert gateway.reload().returncode == 0
    gateway.turn("never-ready")
    assert not gateway.is_ready
    gateway.kill()
    gateway.start()
    assert gateway.serves("/one")
