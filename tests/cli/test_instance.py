"""The instance configuration, from `run` to `restore`: real files, a real etcd, real processes."""

from __future__ import annotations

import json
import signal
import stat
from typing import TYPE_CHECKING

import pytest
import yaml
from aes import encrypted
from servers.command import answered, called, running, until

from replicator.adapters.directory import DirectoryStore
from replicator.flows.instance import latest_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.command import Recorder
    from servers.etcd_json import EtcdJson

KEY = b"0123456789abcde!"
CONFIG = (
    b"# the control plane's\napisix:\n  data_encryption:\n    keyring: ['%s']\nplugins: [key-auth]\n" % KEY
)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return two files as an instance has them."""
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "config.yaml").write_bytes(CONFIG)
    (folder / "debug.yaml").write_bytes(b"\xff\x00 not text\r\n")
    return [folder / "config.yaml", folder / "debug.yaml"]


@pytest.fixture
def both(settings: Callable[..., Path], files: list[Path], tmp_path: Path) -> Path:
    """Return settings that record etcd and those files."""
    instance = {"files": [str(path) for path in files], "archive": f"file://{tmp_path}/instance"}
    return settings(capture={"flush_interval": "0", "lease": "1s"}, instance=instance)


def holds(tmp_path: Path, *expected: tuple[Path, bytes]) -> None:
    """Wait until the instance archive holds those files."""
    store = DirectoryStore(tmp_path / "instance")
    until(lambda: latest_files(store) == {str(path): body for path, body in expected}, "the files' archive")


def started(recorder: Recorder) -> None:
    recorder.tells("watch.started", 2)


def test_files_are_recorded_beside_etcd_and_given_back(both: Path, files: list[Path], tmp_path: Path) -> None:
    config, debug = files
    with running(tmp_path / "log", "-c", both) as recorder:
        started(recorder)
        config.write_bytes(CONFIG + b"# more\n")
        holds(tmp_path, (config, CONFIG + b"# more\n"), (debug, debug.read_bytes()))
        assert recorder.stop() == 0
    out, url = tmp_path / "out", f"file://{tmp_path}/instance"
    assert called("-c", both, "restore", "--instance", "--latest", "-o", out).code == 0
    assert (out / "config.yaml").read_bytes() == CONFIG + b"# more\n"
    assert (out / "debug.yaml").read_bytes() == debug.read_bytes()
    assert stat.S_IMODE((out / "config.yaml").stat().st_mode) == 0o600
    found = answered("list", "--archive", url)
    base = found["epochs"][0]["first"]["revision"]
    assert called("restore", "--archive", url, "--revision", base, "-o", out).code == 0
    assert (out / "config.yaml").read_bytes() == CONFIG
    assert found["prefix"] == answered("-c", both, "status", "--archive", url)["prefix"] == "file:"
    assert answered("verify", "--full", "--archive", url)["ok"]
    for mode in ("--live", "--drill"):
        assert called("-c", both, "verify", mode, "--archive", url).code == 2
    outcome = called("-c", both, "restore", "--instance", "--latest")
    assert (outcome.code, outcome.out) == (2, b"")
    assert "can't all go to stdout" in outcome.err


def test_nothing_is_lost_or_doubled_over_kills(both: Path, files: list[Path], tmp_path: Path) -> None:
    config, debug = files
    versions = [b"%d\n" % number for number in range(4)]
    for number, body in enumerate(versions):
        with running(tmp_path / f"log{number}", "-c", both) as recorder:
            started(recorder)
            config.write_bytes(body)
            holds(tmp_path, (config, body), (debug, debug.read_bytes()))
            assert recorder.stop(signal.SIGKILL) == -signal.SIGKILL
    url = f"file://{tmp_path}/instance"
    assert [epoch["reason"] for epoch in answered("list", "--archive", url)["epochs"]] == ["first"]
    assert answered("verify", "--full", "--archive", url)["ok"]
    base = answered("list", "--archive", url)["epochs"][0]["first"]["revision"]
    for number, body in enumerate(versions, start=1):
        assert called("restore", "--archive", url, "--revision", base + number, "-o", tmp_path).code == 0
        assert (tmp_path / "config.yaml").read_bytes() == body


def test_the_recorded_keyring_and_plugins_are_the_restores(
    both: Path, files: list[Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    sealed = {"key": encrypted("open sesame", KEY)}
    consumer = {"username": "jack", "plugins": {"key-auth": sealed, "my-own": {}}}
    client.put(f"{prefix}/consumers/jack", json.dumps(consumer))
    with running(tmp_path / "log", "-c", both) as recorder:
        started(recorder)
        assert recorder.stop() == 0
    outcome = called("-c", both, "restore", "--latest")
    assert outcome.code == 0
    jack = yaml.safe_load(outcome.out)["consumers"][0]
    assert jack["plugins"] == {"key-auth": {"key": "open sesame"}}
    said = {each["what"]: each["ok"] for each in answered("-c", both, "check")}
    assert said.keys() >= {"files", "files to", "files in", "keyring"}
    assert all(said.values())
    files[0].write_bytes(b"apisix: {data_encryption: {keyring: [0123456789abcdef]}}\n")
    with running(tmp_path / "log2", "-c", both) as recorder:
        holds(tmp_path, *((path, path.read_bytes()) for path in files))
        assert recorder.stop() == 0
    outcome = called("-c", both, "check")
    assert outcome.code == 2
    assert b"opens none of the 1 items" in outcome.out


def test_the_recorded_keyring_is_the_agents_and_stays_so_without_the_archive(
    both: Path, client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    consumer = {"username": "jack", "plugins": {"key-auth": {"key": encrypted("open sesame", KEY)}}}
    client.put(f"{prefix}/consumers/jack", json.dumps(consumer))
    file, chosen = tmp_path / "apisix.yaml", json.loads(both.read_text())
    own = {"home": str(tmp_path / "home"), "resource_file": str(file), "follow_interval": "100ms"}
    both.write_text(json.dumps(chosen | {"agent": own}))

    def keys() -> list[str]:
        items = (yaml.safe_load(file.read_bytes()) or {}) if file.exists() else {}
        return [item["plugins"]["key-auth"]["key"] for item in items.get("consumers", [])]

    with running(tmp_path / "log", "-c", both) as recorder:
        started(recorder)
        with running(tmp_path / "agent.log", "-c", both, command="agent") as agent:
            until(lambda: keys() == ["open sesame"], "the file has the key in clear")
            assert agent.stop() == 0
        (tmp_path / "instance").rename(tmp_path / "away")
        client.put(f"{prefix}/consumers/jack", json.dumps(consumer | {"desc": "changed"}))
        with running(tmp_path / "again.log", "-c", both, command="agent") as agent:
            until(lambda: b"changed" in file.read_bytes(), "the file follows")
            assert keys() == ["open sesame"]
            assert agent.stop() == 0


def test_an_archive_of_files_is_pushed_to_no_gateway(both: Path, tmp_path: Path) -> None:
    with running(tmp_path / "log", "-c", both) as recorder:
        started(recorder)
        assert recorder.stop() == 0
    for words in (("--instance",), ("--archive", f"file://{tmp_path}/instance")):
        outcome = called("-c", both, "restore", "--latest", *words, "--push", "http://127.0.0.1:1")
        assert (outcome.code, "takes none of them by its Admin API" in outcome.err) == (2, True)


def test_two_of_one_name_and_none_at_all_are_told(
    settings: Callable[..., Path], files: list[Path], tmp_path: Path
) -> None:
    twin = tmp_path / "config.yaml"
    twin.write_bytes(b"other")
    instance = {"files": [str(files[0]), str(twin)], "archive": f"file://{tmp_path}/instance"}
    path = settings(instance=instance)
    with running(tmp_path / "log", "-c", path) as recorder:
        started(recorder)
        assert recorder.stop() == 0
    outcome = called("-c", path, "restore", "--instance", "--latest", "-o", tmp_path / "out")
    assert (outcome.code, "several files have one name" in outcome.err) == (2, True)
    instance["files"] = [str(tmp_path / "nowhere")]
    with running(tmp_path / "log", "-c", settings(instance=instance)) as recorder:
        recorder.tells("capture.delayed")
        assert "none of the files" in recorder.events("capture.delayed")[0]["cause"]
        assert recorder.stop() == 0
    assert called("-c", settings(), "restore", "--instance", "--latest").code == 2
    instance["archive"] = f"file://{tmp_path}/archive"
    assert called("-c", settings(instance=instance), "run").code == 2
