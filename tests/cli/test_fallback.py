"""A pasted `fallback_cp` on a real S3 server: two archives, and two objects in plain form beside them."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import boto3
import yaml
from botocore.exceptions import ClientError
from servers.command import answered, called, running, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.etcd_json import EtcdJson
    from servers.moto import S3Server


def test_a_pasted_block_keeps_two_archives_and_two_plain_objects(
    settings: Callable[..., Path],
    client: EtcdJson,
    prefix: str,
    s3_server: S3Server,
    bucket: str,
    tmp_path: Path,
) -> None:
    own = tmp_path / "config.yaml"
    own.write_bytes(b"plugins: [cors]\n")
    keys = {"access_key": "id", "secret_key": "key", "region": "us-east-1"}
    service = {"endpoint": s3_server.endpoint, "use_path_style": True}
    block = {"cron_spec": "@every 1s", "bucket": bucket, "aws_s3": keys | service}
    path = settings(fallback_cp=block, archive=None, instance={"files": [str(own)]})
    s3 = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint,
        region_name="us-east-1",
        aws_access_key_id="id",
        aws_secret_access_key="key",
    )

    def held(key: str) -> bytes:
        try:
            return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError:
            return b""

    def has(uri: str) -> bool:
        body = held("resources/latest/apisix.yaml")
        return uri in [route["uri"] for route in (yaml.safe_load(body) or {}).get("routes", [])]

    with running(tmp_path / "log", "-c", path) as recorder:
        until(lambda: has("/one"), "the first object")
        client.put(f"{prefix}/routes/2", json.dumps({"uri": "/two", "plugins": {"cors": {}, "other": {}}}))
        until(lambda: has("/two"), "the next one")
        own.write_bytes(b"plugins: [cors, other]\n")
        until(lambda: held("config/latest/config.yaml").startswith(own.read_bytes()), "the config's")
        assert recorder.stop(signal.SIGKILL) == -signal.SIGKILL
    body = held("resources/latest/apisix.yaml")
    assert body.endswith(b"#END\n")
    two = next(route for route in yaml.safe_load(body)["routes"] if route["uri"] == "/two")
    assert two["plugins"].keys() == {"cors"}  # by the config.yaml of that time
    restored = called("-c", path, "restore", "--latest")
    assert restored.code == 0
    assert "other" in next(r for r in yaml.safe_load(restored.out)["routes"] if r["uri"] == "/two")["plugins"]
    client.put(f"{prefix}/routes/3", '{"uri":"/three"}')
    with running(tmp_path / "log2", "-c", path) as recorder:
        until(lambda: has("/three"), "the object after a kill")
        assert recorder.stop() == 0
    for archive in ("resources", "config"):
        assert answered("-c", path, "verify", "--full", "--archive", f"s3://{bucket}/{archive}")["ok"]


def test_plain_text_beside_encryption_must_be_meant(settings: Callable[..., Path], tmp_path: Path) -> None:
    key = tmp_path / "keys"
    key.write_text("00" * 32)
    key.chmod(0o600)
    encryption, archive = {"key_file": str(key)}, tmp_path / "archive"
    outcome = called("-c", settings(encryption=encryption, snapshot={"latest": True}), "run")
    assert (outcome.code, "snapshot.latest keeps the newest state in plain text" in outcome.err) == (2, True)
    assert not archive.exists()
    path = settings(encryption=encryption, snapshot={"latest": True, "latest_plaintext": True})
    with running(tmp_path / "log", "-c", path) as recorder:
        until((archive / "latest/apisix.yaml").exists, "the object")
        assert recorder.stop() == 0
    assert b"#END" in (archive / "latest/apisix.yaml").read_bytes()
    assert answered("-c", path, "verify", "--full")["ok"]
