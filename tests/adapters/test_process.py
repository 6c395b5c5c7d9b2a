"""Whether a process has ended, as another on the same machine sees it."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from servers.command import until

from replicator.adapters import process
from replicator.adapters.process import LocalPeers

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAY = "from replicator.adapters.process import LocalPeers; print(LocalPeers().me(), flush=True); input()"


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", _SAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_the_living_the_suspended_and_the_dead(other) -> None:
    peers, name = LocalPeers(), other.stdout.readline().decode().strip()
    assert name != peers.me()
    assert not peers.is_gone(peers.me())
    assert not peers.is_gone(name)
    other.send_signal(signal.SIGSTOP)
    assert not peers.is_gone(name)
    other.kill()  # nobody has waited for it yet: it is a zombie
    until(lambda: peers.is_gone(name), "it is gone")
    other.wait()
    assert peers.is_gone(name)


def test_another_process_of_the_same_pid_is_another() -> None:
    peers = LocalPeers()
    boot, namespace, pid, started = peers.me().split("/")
    assert peers.is_gone(f"{boot}/{namespace}/{pid}/{int(started) - 1}")


@pytest.mark.parametrize("place", [0, 1])
def test_nobody_knows_of_another_machine_or_container(place) -> None:
    peers = LocalPeers()
    parts = peers.me().split("/")
    parts[place] = "another"
    parts[2] = str(2**22 + 1)  # no pid is so large
    assert not peers.is_gone("/".join(parts))


def test_where_the_processes_of_others_are_hidden_nobody_is_known_to_be_gone(tmp_path, monkeypatch) -> None:
    """As with /proc mounted with hidepid=2: what isn't seen there may live."""
    peers = LocalPeers()
    boot, namespace, *_ = peers.me().split("/")
    monkeypatch.setattr(process, "_here", lambda: (boot, namespace))
    monkeypatch.setattr(process, "_PROC", tmp_path)
    assert not peers.is_gone(f"{boot}/{namespace}/4000/77")
    (tmp_path / "1").mkdir()
    assert peers.is_gone(f"{boot}/{namespace}/4000/77")


@pytest.mark.parametrize("name", ["", "rubbish", "a/b/c/d", "a/b/c/d/e"])
def test_what_says_nothing_is_not_known_to_be_gone(name) -> None:
    assert not LocalPeers().is_gone(name)


def test_a_pid_that_is_no_number_is_not_known_to_be_gone() -> None:
    boot, namespace, _, started = LocalPeers().me().split("/")
    assert not LocalPeers().is_gone(f"{boot}/{namespace}/../{started}")
    assert not LocalPeers().is_gone(f"{boot}/{namespace}/self/{started}")
