"""Markers for every kind of secret, through a session with its failures: none comes out, or stays behind."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from servers.command import called, environment, replicator, running
from servers.keys import OLD_SECRET, key_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.command import Outcome
    from servers.etcd import Etcd
    from servers.moto import S3Server

PASSWORD = "marker-of-the-password"
KEY_ID = "marker-of-the-access-key"
SECRET_KEY = "marker-of-the-secret-key"
KEYRING = "marker-of-keys.."
SEALING = b"marker-of-the-key-that-encrypts."
VALUE = '{"uri":"/marker-of-a-value","plugins":{"limit-count":{"redis_password":"marker-of-a-value"}}}'
MARKERS = ["marker-of", *(base64.b64encode(SEALING).decode(), SEALING.hex(), repr(SEALING))]


def found(data: bytes) -> list[str]:
    """Return the markers in *data*, also those in an encoding of base64."""
    encoded = [base64.b64encode(b"\0" * shift + b"marker-of")[4:-4] for shift in (0, 1, 2)]
    return [text for text in MARKERS if text.encode() in data] + [
        str(text) for text in encoded if text in data
    ]


def everything(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()


@pytest.fixture
def marked(guarded_etcd: Etcd) -> Iterator[Etcd]:
    """Return the etcd that wants passwords, with a user whose password is a marker."""
    root = "--user=root:root"
    guarded_etcd.ctl(root, "user", "add", f"marked:{PASSWORD}")
    guarded_etcd.ctl(root, "user", "grant-role", "marked", "reader")
    yield guarded_etcd
    guarded_etcd.ctl(root, "user", "delete", "marked")


def written(outcome: Outcome) -> bytes:
    return outcome.out + outcome.err.encode()


def test_no_marker_comes_out_of_a_session_or_stays_behind(
    marked: Etcd, s3_server: S3Server, settings: Callable[..., Path], tmp_path: Path
) -> None:
    etcd = {"endpoints": [marked.endpoint], "prefix": "/apisix", "username": "marked", "password": PASSWORD}
    s3 = {
        "endpoint": s3_server.endpoint,
        "region": "us-east-1",
        "access_key": KEY_ID,
        "secret_key": SECRET_KEY,
    }
    secrets, outside = tmp_path / "secrets", tmp_path / "outside"
    secrets.mkdir()
    outside.mkdir()
    key, other = key_file(secrets / "keys", SEALING), key_file(secrets / "other", OLD_SECRET)
    whole = {
        "etcd": etcd,
        "s3": s3,
        "archive": f"file://{outside}/archive",
        "encryption": {"key_file": str(key)},
        "apisix": {"keyring": [KEYRING]},
        "capture": {"flush_interval": "0"},
    }

    def told(name: str, **changes: object) -> Path:
        return settings(f"secrets/{name}.yaml", **(whole | changes))

    good = told("good")
    shared = ("--log-level", "debug")
    with running(outside / "log", *shared, "-c", good) as recorder:
        recorder.says("watch.started")
        marked.ctl("--user=root:root", "put", "/apisix/routes/1", VALUE)
        recorder.says("segment.stored")
        assert recorder.stop() == 0

    bad = [
        told("no etcd", etcd=etcd | {"endpoints": ["http://127.0.0.1:1"]}),
        told("wrong user", etcd=etcd | {"username": "nobody"}),
        told("no bucket", archive="s3://no-such-bucket/x"),
        told("wrong key", encryption={"key_file": str(other)}),
        told("no key", encryption={}),
        told("no key file", encryption={"key_file": str(secrets / "none")}),
        told("no keys", encryption={"key_file": str(good)}),
        told("typo", etcd=etcd | {"pasword": PASSWORD}),
    ]
    outputs = {path.name: written(called("-c", path, "check")) for path in bad}
    for command in ("list", "status", "check"):
        outputs[command] = written(called("-c", good, command, "--json"))
    report = ("--report", outside / "report")
    restored = called("-c", good, "restore", "--latest", "-o", secrets / "apisix.yaml", *report)
    outputs["restore"] = written(restored)
    assert restored.code == 0
    assert b"marker-of-a-value" in (secrets / "apisix.yaml").read_bytes()

    newest = max(outside.glob("archive/e00000001/snapshots/*"))
    newest.write_bytes(newest.read_bytes()[:-1] + b"?")
    damaged = called("-c", good, "restore", "--latest", "-o", secrets / "none.yaml")
    outputs["damaged"] = written(damaged)
    assert damaged.code == 4
    assert not (secrets / "none.yaml").exists()

    assert all(outputs.values())
    assert {what: found(text) for what, text in outputs.items() if found(text)} == {}
    assert {name: found(body) for name, body in everything(outside) if found(body)} == {}
    private = [secrets / "apisix.yaml", outside / "report"]
    assert [path.stat().st_mode & 0o777 for path in private] == [0o600, 0o600]


def test_a_bugs_traceback_shows_no_variable(settings: Callable[..., Path], tmp_path: Path) -> None:
    """Where a bug ends a command, Python's own traceback has lines of code, and no values."""
    key = key_file(tmp_path / "keys", SEALING)
    path = settings(encryption={"key_file": str(key)}, s3={"access_key": KEY_ID, "secret_key": SECRET_KEY})
    bug = [
        "import replicator.flows.survey as it",
        "def fail(*_): raise RuntimeError('a bug')",
        "it.open_archive = fail",
    ]
    (tmp_path / "sitecustomize.py").write_text("\n".join(bug))
    where = f"{tmp_path}:{environment()['PYTHONPATH']}"
    outcome = replicator("-c", path, "list", env={"PYTHONPATH": where})
    assert outcome.code == 1
    assert "RuntimeError: a bug" in outcome.err
    assert found(written(outcome)) == []
