"""The environment above the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replicator.config import Secret, Settings, load, suspects
from replicator.config.keys import known
from replicator.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "replicator.yaml"
    path.write_text(
        "etcd:\n  endpoints: [http://a:1]\n  prefix: /a\n  username: u\n  password: ${ABSENT}\n"
        "archive: file:///a\napisix: {plugins: [a]}\n"
    )
    return path


def test_a_variable_stands_above_the_file(file: Path) -> None:
    environ = {
        "REPLICATOR_ARCHIVE": "s3://bucket/c",
        "REPLICATOR_ETCD_ENDPOINTS": "http://b:1, http://c:1",
        "REPLICATOR_ETCD_PASSWORD": "${not expanded} $${nor this}: [",
        "REPLICATOR_CAPTURE_FLUSH_INTERVAL": "5s",
        "REPLICATOR_S3_USE_PATH_STYLE": "true",
        "REPLICATOR_APISIX_KEYRING": "k1,k2",
    }

    settings = load(file, environ)

    assert str(settings.archive) == "s3://bucket/c"
    assert settings.etcd.endpoints == ("http://b:1", "http://c:1")
    assert settings.etcd.prefix == "/a"
    assert Secret("${not expanded} $${nor this}: [") == settings.etcd.password
    assert settings.capture.flush_interval.total_seconds() == 5
    assert settings.s3.use_path_style
    assert settings.apisix.keyring == (Secret("k1"), Secret("k2"))
    assert settings.apisix.plugins == ("a",)


def test_an_empty_variable_counts_as_not_set() -> None:
    assert Settings() == load(None, {key.variable: "" for key in known().values() if key.variable})


def test_each_setting_but_a_mapping_has_a_variable_of_its_own() -> None:
    variables = {key.name: key.variable for key in known().values()}

    assert len(set(variables.values())) == len(variables)
    assert [name for name, variable in variables.items() if variable is None] == ["apisix.encrypt_fields"]
    assert variables["s3.sse_kms_key_id"] == "REPLICATOR_S3_SSE_KMS_KEY_ID"


@pytest.mark.parametrize(
    ("variable", "text", "complaint"),
    [
        ("REPLICATOR_CAPTURE_FLUSH_BYTES", "lots", 'capture.flush_bytes: "lots" is no size'),
        (
            "REPLICATOR_ETCD_ENDPOINTS",
            "http://a:1,",
            'etcd.endpoints[1]: "" is no http:// or https:// address',
        ),
        ("REPLICATOR_ETCD_USERNAME", "root", "etcd: username and password go together"),
    ],
)
def test_an_error_names_the_variable_where_the_value_stands(variable: str, text: str, complaint: str) -> None:
    with pytest.raises(UsageError) as refused:
        load(None, {variable: text})

    assert f"{variable}: {complaint}" == str(refused.value)


def test_a_variable_doesnt_mend_a_section_that_is_none(file: Path) -> None:
    file.write_text("etcd: a\n")

    with pytest.raises(UsageError, match=r"replicator\.yaml:1: etcd: expected a mapping"):
        load(file, {"REPLICATOR_ETCD_PREFIX": "/a"})


def test_a_misspelt_variable_is_suspected() -> None:
    environ = {
        "REPLICATOR_ETCD_ENDPOINT": "http://a:1",
        "REPLICATOR_ETCD_PASWORD": "x",
        "REPLICATOR_ARCHIV": "y",
    }

    assert suspects(environ) == {
        "REPLICATOR_ETCD_ENDPOINT": "REPLICATOR_ETCD_ENDPOINTS",
        "REPLICATOR_ETCD_PASWORD": "REPLICATOR_ETCD_PASSWORD",
        "REPLICATOR_ARCHIV": "REPLICATOR_ARCHIVE",
    }


def test_what_others_set_is_no_suspect() -> None:
    environ = {
        "REPLICATOR_ETCD": "/usr/bin/etcd",
        "REPLICATOR_PORT": "tcp://10.0.0.1:9465",
        "REPLICATOR_PORT_9465_TCP_ADDR": "10.0.0.1",
        "REPLICATOR_SERVICE_HOST": "10.0.0.1",
        "REPLICATOR_SERVICE_PORT": "9465",
        "REPLICATOR_ETCD_PREFIX": "/a",
        "ETCD_ENDPOINT": "http://a:1",
    }

    assert not suspects(environ)
    assert load(None, environ).etcd.prefix == "/a"
