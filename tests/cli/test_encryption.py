"""An encrypted archive, from `run` to `restore`: nothing of it is readable without its key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from servers.command import Complaint, answered, called, running
from servers.keys import OLD_SECRET, key_file, kms_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.command import Outcome
    from servers.etcd_json import EtcdJson
    from servers.moto import S3Server

MARKER = "marker-in-a-value"
VALUE = f'{{"uri":"/{MARKER}"}}'


def recorded(path: Path, client: EtcdJson, prefix: str, log: Path) -> int:
    """Record one more put of `VALUE` with the settings at *path*; return its revision."""
    with running(log.with_name(path.name + ".log"), "-c", path) as recorder:
        recorder.tells("watch.started")
        recorder.stores(revision := client.put(f"{prefix}/routes/1", VALUE))
        assert recorder.stop() == 0
    return revision


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def restored(tmp_path: Path) -> Callable[..., Outcome]:
    """Return a function that restores the newest state with the settings at a path."""

    def restore(path: Path, **env: str) -> Outcome:
        return called("-c", path, "restore", "--latest", "--format", "kv", "-o", tmp_path / "kv", env=env)

    return restore


def test_an_encrypted_archive_from_run_to_restore(
    settings: Callable[..., Path],
    client: EtcdJson,
    prefix: str,
    tmp_path: Path,
    restored: Callable[..., Outcome],
) -> None:
    old, new = key_file(tmp_path / "old", OLD_SECRET), key_file(tmp_path / "new")
    both = key_file(tmp_path / "both", b"this-is-secret-0 padded to 32 by", OLD_SECRET)
    first = settings(encryption={"key_file": str(old)})
    second = settings("second.yaml", encryption={"key_file": str(both)})
    recorded(first, client, prefix, tmp_path / "log")
    revision = recorded(second, client, prefix, tmp_path / "log")

    archive = files(tmp_path / "archive")
    assert len(archive) > 5
    assert not [
        name for name, body in archive.items() if MARKER.encode() in body or b"\x28\xb5\x2f\xfd" in body
    ]
    assert all(body.startswith(b"RPLSEAL\x01") for name, body in archive.items() if ".lock" not in name)

    assert restored(second).code == 0
    assert json.loads((tmp_path / "kv").read_text().splitlines()[-1])["mod_revision"] == revision
    assert answered("-c", second, "list")["epochs"]
    assert answered("-c", second, "status")
    assert called("-c", second, "check").code == 0

    for given in (first, settings("third.yaml", encryption={"key_file": str(new)})):
        Complaint(2, "is encrypted with key", "encryption.key_file").is_made_by(restored(given))
    for command in (("list",), ("status",), ("restore", "--latest"), ("run",)):
        Complaint(2, "archive.json is encrypted with key", "encryption.key_file").is_made_by(
            called("-c", settings("without.yaml"), *command)
        )
    assert restored(settings("without.yaml"), REPLICATOR_ENCRYPTION_KEY_FILE=str(both)).code == 0


def test_an_archive_that_was_begun_without_a_key(
    settings: Callable[..., Path],
    client: EtcdJson,
    prefix: str,
    tmp_path: Path,
    restored: Callable[..., Outcome],
) -> None:
    keys = str(key_file(tmp_path / "keys"))
    recorded(settings(), client, prefix, tmp_path / "log")
    strict = settings("strict.yaml", encryption={"key_file": keys})
    mixed = settings("mixed.yaml", encryption={"key_file": keys, "allow_plaintext": True})
    for command in (("list",), ("restore", "--latest"), ("run",)):
        Complaint(4, "archive.json isn't encrypted", "encryption.allow_plaintext").is_made_by(
            called("-c", strict, *command)
        )
    before = files(tmp_path / "archive")
    recorded(mixed, client, prefix, tmp_path / "log")
    after = files(tmp_path / "archive")
    assert restored(mixed).code == 0
    added = [name for name in after.keys() - before.keys() if ".lock" not in name]
    assert added
    assert all(after[name].startswith(b"RPLSEAL\x01") for name in added)
    Complaint(2, "is encrypted with key", "encryption.key_file").is_made_by(restored(settings()))


def test_a_bucket_with_keys_of_kms(
    settings: Callable[..., Path],
    client: EtcdJson,
    prefix: str,
    s3_server: S3Server,
    tmp_path: Path,
    restored: Callable[..., Outcome],
) -> None:
    endpoint = s3_server.endpoint
    place = {
        "archive": f"s3://{s3_server.make_bucket()}/archive",
        "s3": {"endpoint": endpoint, "region": "us-east-1", "access_key": "id", "secret_key": "secret"},
    }
    path = settings(encryption={"kms_key_id": kms_key(endpoint), "kms_endpoint": endpoint}, **place)
    recorded(path, client, prefix, tmp_path / "log")
    assert restored(path).code == 0
    assert MARKER in (tmp_path / "kv").read_text()
    Complaint(2, "archive.json is encrypted with a data key of KMS", "encryption.kms_key_id").is_made_by(
        restored(settings(**place))
    )


def test_a_key_file_that_others_may_read_is_told(settings: Callable[..., Path], tmp_path: Path) -> None:
    keys = key_file(tmp_path / "keys")
    keys.chmod(0o644)
    outcome = called("-c", settings(encryption={"key_file": str(keys)}), "list")
    assert f"the key file {keys} is open to others (mode 0644)" in outcome.err
    Complaint(2, "there is no archive", "replicator run").is_made_by(outcome)
