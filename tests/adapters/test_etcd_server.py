"""A real etcd, and how it is found."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from replicator.adapters import etcd_server
from replicator.adapters.etcd_server import EtcdServer, find_etcd, is_recent
from replicator.errors import SourceUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.etcd import Etcd


def fake_etcd(path: Path, version: str) -> Path:
    """Write a program that says of itself what an etcd of *version* says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'etcd Version: {version}'\necho 'Git SHA: unknown'\n")
    path.chmod(0o755)
    return path


def answers(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint}/health", timeout=0.5) as answer:  # noqa: S310 (http)
            return json.load(answer)["health"] == "true"
    except OSError:
        return False


@pytest.mark.parametrize("version", ["3.5.16", "3.6.0-rc.1", "3.10.0"])
def test_a_recent_version_is_recent(tmp_path: Path, version: str) -> None:
    assert is_recent(fake_etcd(tmp_path / "etcd", version))


@pytest.mark.parametrize("version", ["3.5.15", "3.4.23", "2.99.99", "4", ""])
def test_any_other_is_not(tmp_path: Path, version: str) -> None:
    assert not is_recent(fake_etcd(tmp_path / "etcd", version))


def test_what_is_no_program_is_no_etcd(tmp_path: Path) -> None:
    (tmp_path / "etcd").write_text("no program")
    assert not is_recent(tmp_path / "etcd")
    assert not is_recent(tmp_path / "missing")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Return the places where an etcd is looked for, all of them empty."""
    places = {
        "chosen": tmp_path / "chosen",
        "on PATH": tmp_path / "bin/etcd",
        "fetched": tmp_path / "cache/replicator/etcd/usr/bin/etcd",
    }
    monkeypatch.setenv("REPLICATOR_ETCD", "")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", f"{tmp_path}/cache")
    return places


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        ({"chosen": "3.5.18", "on PATH": "3.5.17", "fetched": "3.5.16"}, "chosen"),
        ({"on PATH": "3.5.17", "fetched": "3.5.16"}, "on PATH"),
        ({"on PATH": "3.4.23", "fetched": "3.5.16"}, "fetched"),
        ({"fetched": "3.5.16"}, "fetched"),
    ],
)
def test_the_first_that_does_is_found(
    machine: dict[str, Path], monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], found: str
) -> None:
    for place, version in versions.items():
        fake_etcd(machine[place], version)
    if "chosen" in versions:
        monkeypatch.setenv("REPLICATOR_ETCD", str(machine["chosen"]))
    assert find_etcd() == machine[found]


def test_a_chosen_one_that_is_too_old_is_refused(
    machine: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_etcd(machine["fetched"], "3.5.16")
    monkeypatch.setenv("REPLICATOR_ETCD", str(fake_etcd(machine["chosen"], "3.4.23")))
    with pytest.raises(UsageError, match=r"REPLICATOR_ETCD: .*/chosen is no etcd of version 3\.5\.16"):
        find_etcd()


@pytest.mark.usefixtures("machine")
def test_where_there_is_none_it_says_what_to_do() -> None:
    with pytest.raises(UsageError) as caught:
        find_etcd()
    assert "tools/fetch etcd" in caught.value.hint


def test_a_crash_keeps_data_and_endpoint(etcd_factory: Callable[..., Etcd]) -> None:
    etcd = etcd_factory()
    endpoint = etcd.endpoint
    etcd.ctl("put", "key", "value")
    etcd.kill()
    assert not answers(endpoint)
    etcd.restart()
    assert etcd.endpoint == endpoint
    assert etcd.ctl("get", "--print-value-only", "key") == b"value\n"


def test_servers_are_strangers(etcd_factory: Callable[..., Etcd]) -> None:
    one, other = etcd_factory("--unsafe-no-fsync"), etcd_factory("--unsafe-no-fsync")
    one.ctl("put", "key", "value")
    assert other.ctl("get", "key") == b""


def test_a_suspended_server_is_silent_until_it_is_resumed(etcd: Etcd) -> None:
    etcd.suspend()
    assert not answers(etcd.endpoint)
    etcd.resume()
    assert answers(etcd.endpoint)


def test_a_suspended_server_can_be_stopped(etcd: Etcd) -> None:
    etcd.suspend()
    etcd.stop()
    assert not answers(etcd.endpoint)
    etcd.stop()  # and once more does no harm


def test_a_server_that_does_not_start_says_why(tmp_path: Path, etcd_binary: Path) -> None:
    with pytest.raises(SourceUnavailable, match='unknown auto-compaction-mode "never"') as caught:
        EtcdServer(tmp_path, etcd_binary, ["--auto-compaction-mode=never"]).start()
    assert str(tmp_path / "etcd.log") in caught.value.hint


def test_a_lost_race_for_the_port_is_run_again(
    etcd: Etcd, etcd_factory: Callable[..., Etcd], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The winner is the worst one: an etcd, whose health would pass for that of the loser."""
    free_port, taken = etcd_server._free_port, int(etcd.endpoint.rpartition(":")[2])
    ports = iter([taken])
    monkeypatch.setattr(etcd_server, "_free_port", lambda: next(ports, None) or free_port())
    other = etcd_factory("--unsafe-no-fsync")
    assert other.endpoint != etcd.endpoint
    other.ctl("put", "key", "value")
    assert etcd.ctl("get", "key") == b""


def test_variables_for_another_etcd_do_not_reach_it(
    monkeypatch: pytest.MonkeyPatch, etcd_factory: Callable[..., Etcd]
) -> None:
    monkeypatch.setenv("ETCD_LISTEN_CLIENT_URLS", "http://127.0.0.1:1")

    assert answers(etcd_factory().endpoint)


def test_a_killed_parent_leaves_no_orphan(tmp_path: Path, etcd_binary: Path) -> None:
    script = """if True:
        import pathlib, signal, sys
        from replicator.adapters.etcd_server import EtcdServer
        with EtcdServer(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])) as server:
            print(server.endpoint, flush=True)
            signal.pause()
    """
    command = [sys.executable, "-c", script, tmp_path, etcd_binary]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        endpoint = parent.stdout.readline().strip()
        assert answers(endpoint)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while answers(endpoint):
        assert time.monotonic() < deadline
