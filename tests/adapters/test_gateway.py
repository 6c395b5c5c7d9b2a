"""The gateway's files, reload command and readiness, as they are on a real machine."""

from __future__ import annotations

import errno
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from servers.command import until

from replicator.adapters.gateway import GatewayOptions, LocalGateway
from replicator.errors import GatewayFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


def gateway(config: Path, *reload: str, **options: Any) -> LocalGateway:
    """Return the gateway with that config.yaml."""
    chosen = {"reload_timeout_s": 5.0, "ready": "", "ready_timeout_s": 1.0} | options
    return LocalGateway(GatewayOptions(config_file=config, reload=reload, **chosen))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a config.yaml."""
    path = tmp_path / "config.yaml"
    path.write_bytes(b"first\n")
    return path


def test_mode_and_owner_stay(config: Path) -> None:
    config.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(config, 4711, 4712)
    before = config.stat()

    gateway(config).replace_config(b"second\n")

    after = config.stat()
    assert config.read_bytes() == b"second\n"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert list(config.parent.iterdir()) == [config]


def test_what_a_kill_left_behind_goes(config: Path) -> None:
    (config.parent / ".config.yaml.replicator").write_bytes(b"half")
    gateway(config).replace_config(b"second\n")
    assert list(config.parent.iterdir()) == [config]


def test_a_link_stays_one(config: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(config)
    gateway(link).replace_config(b"second\n")
    assert link.is_symlink()
    assert config.read_bytes() == b"second\n"


@pytest.mark.parametrize(("call", "number"), [("rename", errno.EBUSY), ("fchown", errno.EPERM)])
def test_where_it_can_not_be_renamed_over_it_is_written_in_place(
    config: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """As it is for a file that is mounted by itself, and for one of another owner's."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*(Path, "rename") if call == "rename" else (os, "fchown"), refuse)
    before = config.stat().st_ino
    for body in (b"longer than it was\n", b"short\n"):
        gateway(config).replace_config(body)
        assert config.read_bytes() == body
    assert config.stat().st_ino == before
    assert list(config.parent.iterdir()) == [config]


def test_a_disk_that_is_full_leaves_what_was_there(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(GatewayFailed, match="No space left on device"):
        gateway(config).replace_config(b"second\n")
    assert config.read_bytes() == b"first\n"
    assert list(config.parent.iterdir()) == [config]


def test_what_a_failing_command_says_last_is_told(config: Path) -> None:
    command = "seq 100000; printf 'nginx: \\033[31munknown directive\\n' >&2; exit 3"
    with pytest.raises(GatewayFailed, match=r"ended with 3: .*100000 nginx: +\[31munknown directive$"):
        gateway(config, "sh", "-c", command).reload()


def test_a_reload_that_reloads_nothing_has_failed_though_it_ends_with_0(config: Path) -> None:
    """As `apisix reload` does (apisix/cli/ops.lua, 3.18)."""
    said = "nginx: [emerg] unknown directive\ntest openresty failed"
    with pytest.raises(GatewayFailed, match=r"nothing was reloaded: .*unknown directive"):
        gateway(config, "sh", "-c", f"echo '{said}'").reload()


def test_a_command_that_hangs_dies_with_its_children(config: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    began = time.monotonic()
    with pytest.raises(GatewayFailed, match=r"took longer than 0\.5 s, and was killed: on my way"):
        gateway(
            config, "sh", "-c", f"echo on my way; sleep 600 & echo $! > {pid}; wait", reload_timeout_s=0.5
        ).reload()
    assert time.monotonic() - began < 20
    until(lambda: not _lives(int(pid.read_text())), "the child is gone")


def test_a_command_whose_child_goes_on_is_not_waited_for(config: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    gateway(config, "sh", "-c", f"sleep 600 & echo $! > {pid}").reload()
    os.kill(int(pid.read_text()), 9)


def test_a_command_that_is_not_there_is_told_before_and_when(config: Path) -> None:
    with pytest.raises(UsageError, match="there is no reload command no-such-command"):
        gateway(config, "no-such-command").trial()
    with pytest.raises(GatewayFailed, match="can't be started: no-such-command: No such file"):
        gateway(config, "no-such-command").reload()
    gateway(config, "true").trial()


def test_a_config_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"can't read the gateway's .*none\.yaml: No such file"):
        gateway(tmp_path / "none.yaml").config()
    with pytest.raises(UsageError, match="can't be replaced"):
        gateway(tmp_path / "none" / "config.yaml").trial()


class _Ready(BaseHTTPRequestHandler):
    answers: list[int]

    def do_GET(self) -> None:
        """Answer with the next code; the last one lasts."""
        answers = type(self).answers
        self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def ready() -> Iterator[str]:
    """Return the URL of a probe that gives `_Ready.answers`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Ready)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/status/ready"
    server.shutdown()
    server.server_close()


def test_readiness_is_waited_for(config: Path, ready: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # nobody asks a proxy about its own machine
    _Ready.answers = [503, 503, 200]
    assert gateway(config, ready=ready, ready_timeout_s=20.0).await_ready()
    _Ready.answers = [503]
    with pytest.raises(GatewayFailed, match=r"wasn't ready within 1 s: it answered 503"):
        gateway(config, ready=ready).await_ready()
    with pytest.raises(GatewayFailed, match="it didn't answer"):
        gateway(config, ready="http://127.0.0.1:1/").await_ready()
    ending = LocalGateway(GatewayOptions(config, (), 1.0, ready, 20.0), lambda: True)
    assert not ending.await_ready()


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
