"""API7's block, pasted as it is: what it comes to, and what it may not contradict."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from replicator.config import ArchiveUrl, Secret, load
from replicator.core.schedule import Schedule
from replicator.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from replicator.config import Settings

CONTROL_PLANE = """
fallback_cp:
  cron_spec: '@every 2m'
  aws_s3:
    access_key: AKIA
    secret_key: ${SECRET}
    region: eu-west-1
    config_bucket: the-config
    resource_bucket: the-resources
    endpoint: http://minio:9000
    use_path_style: true
"""
GATEWAY = """
deployment:
  fallback_cp:
    mode: write
    interval: 30
    bucket: the-one
    aws_s3: {access_key: AKIA, secret_key: secret, region: eu-west-1}
"""


def read(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "replicator.yaml"
    file.write_text(text)
    return load(file, {"SECRET": "hush"})


def test_the_control_planes_block(tmp_path: Path) -> None:
    settings = read(tmp_path, CONTROL_PLANE)
    assert settings.archive == ArchiveUrl("the-resources", "resources")
    assert settings.instance.archive == ArchiveUrl("the-config", "config")
    assert settings.snapshot.cron_spec == Schedule("@every 2m")
    assert settings.snapshot.latest
    s3 = settings.s3
    assert (s3.endpoint, s3.region, s3.use_path_style) == ("http://minio:9000", "eu-west-1", True)
    assert (s3.access_key, s3.secret_key) == (Secret("AKIA"), Secret("hush"))


def test_the_gateways_block(tmp_path: Path) -> None:
    settings = read(tmp_path, GATEWAY)
    assert settings.archive == ArchiveUrl("the-one", "resources")
    assert settings.instance.archive == ArchiveUrl("the-one", "config")
    assert settings.snapshot.cron_spec == Schedule("@every 30s")
    reading = read(tmp_path, GATEWAY.replace("write", "read"))
    assert reading.agent.follow_interval == timedelta(seconds=30)
    assert reading.snapshot.cron_spec == Schedule("@every 1m")


def test_other_settings_stand_beside_it(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        CONTROL_PLANE + "etcd: {prefix: /other}\ninstance: {files: [/conf/config.yaml]}\n"
        "s3: {sse_kms_key_id: k}\nsnapshot: {latest: false}\n",
    )
    assert settings.etcd.prefix == "/other"
    assert settings.instance.files == ("/conf/config.yaml",)
    assert settings.instance.archive == ArchiveUrl("the-config", "config")
    assert settings.s3.sse_kms_key_id == "k"
    assert not settings.snapshot.latest


def test_without_keys_it_is_awss_chain(tmp_path: Path) -> None:
    settings = read(tmp_path, "fallback_cp: {aws_s3: {resource_bucket: the-resources, region: eu-west-1}}")
    assert settings.s3.access_key is settings.s3.secret_key is None
    assert settings.instance.archive is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (CONTROL_PLANE + "archive: file:///a\n", "archive is set here, and by fallback_cp"),
        (CONTROL_PLANE + "s3: {region: x}\n", "region is set here, and by fallback_cp"),
        (CONTROL_PLANE + "snapshot: {cron_spec: '@hourly'}\n", "cron_spec is set here, and by fallback_cp"),
        (CONTROL_PLANE + "instance: {archive: file:///a}\n", "archive is set here, and by fallback_cp"),
        (CONTROL_PLANE + "    custom_endpoint: http://b:1\n", "an endpoint and a custom_endpoint"),
        (CONTROL_PLANE + "    bucket: b\n", "a bucket for both and one for each"),
        (CONTROL_PLANE + GATEWAY, "fallback_cp is given twice"),
        (CONTROL_PLANE.replace("region", "regoin"), "unknown setting fallback_cp.aws_s3.regoin"),
        (CONTROL_PLANE.replace("    access_key: AKIA\n", ""), "access_key and secret_key go together"),
        (CONTROL_PLANE.replace("@every 2m", "now"), "snapshot.cron_spec"),
        (CONTROL_PLANE.replace("the-config", "[a]"), "a bucket's name is a text"),
        (CONTROL_PLANE.replace("the-config", "a?b"), "instance.archive"),
        (GATEWAY.replace("write", "both"), "fallback_cp.mode is read or write"),
        (GATEWAY.replace("30", "often"), "fallback_cp.interval is a number of seconds"),
        (GATEWAY.replace("interval", "cron_spec: '@hourly'\n    interval"), "an interval and a cron_spec"),
        (GATEWAY + "  role: data_plane\n", "unknown setting deployment.role"),
        (GATEWAY.replace("    bucket: the-one\n", ""), "names no bucket for the resources"),
        ("fallback_cp: {azure_blob: {account_name: a}}", "fallback_cp.azure_blob is not supported"),
        ("fallback_cp: [a]", "fallback_cp: expected a mapping"),
        ("fallback_cp: {aws_s3: 1}", "fallback_cp.aws_s3: expected a mapping"),
    ],
)
def test_what_it_may_not_say(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=r"replicator\.yaml:\d+: .*") as refused:
        read(tmp_path, text)
    assert complaint in str(refused.value)
    assert "hush" not in str(refused.value)
