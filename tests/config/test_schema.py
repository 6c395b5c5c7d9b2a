"""The settings' JSON Schema: it knows each setting, and differs from the reader only where it says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft7Validator

from replicator.config.keys import known
from replicator.config.schema import definitions, put_into

SETTINGS = Draft7Validator({"$ref": "#/definitions/settings", "definitions": definitions()})


def nested(name: str, value: Any) -> dict[str, Any]:
    """Return a settings file that says *value* of the setting with the dotted name *name*."""
    for part in reversed(name.split(".")):
        value = {part: value}
    return value


@pytest.mark.parametrize("name", known())
def test_each_setting_may_be_left_open_and_is_nothing_else(name: str) -> None:
    assert SETTINGS.is_valid(nested(name, None))
    assert not SETTINGS.is_valid(nested(f"{name}x", None))
    assert not SETTINGS.is_valid(nested(name, 0.5))


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("archive", "s3://bucket/path", 1),
        ("etcd.endpoints", ["http://etcd:2379"], "http://etcd:2379"),
        ("etcd.password", "${PASSWORD}", "hunter2"),
        ("apisix.keyring", ["${ONE}", "${TWO}"], ["0123456789abcdef"]),
        ("metrics.heartbeat", "https://beat.example/${TOKEN}", "https://beat.example/$${TOKEN}"),
        ("apisix.version", "3.10", 3.1),
        ("s3.use_path_style", True, 1),
        ("s3.use_path_style", "${PATH_STYLE}", "yes"),
        ("capture.flush_interval", 0, 1),
        ("capture.flush_interval", "1s", ["1s"]),
        ("capture.flush_bytes", 1048576, -1),
        ("capture.flush_bytes", "1MiB", 1.5),
        ("agent.when_stale", "refuse", "refused"),
        ("agent.when_stale", "${STALE}", "$${STALE}"),
        ("apisix.encrypt_fields", {"mine": {"schema": ["a.b"]}}, {"mine": {"scheme": ["a.b"]}}),
        ("fallback_cp.interval", 60, 0),
        ("fallback_cp.aws_s3.bucket", "bucket", {}),
        ("fallback_cp.aws_s3.secret_key", "${KEY}", "hunter2"),
        ("fallback_cp", {"mode": "write"}, {"azure_blob": {}}),
    ],
)
def test_values_are_of_their_settings_kind(name: str, good: Any, bad: Any) -> None:
    assert SETTINGS.is_valid(nested(name, good))
    assert not SETTINGS.is_valid(nested(name, bad))


def test_it_is_put_among_the_definitions_of_a_schema_and_again() -> None:
    given = {"definitions": {"mine": {"type": "string"}, "settings": {}}, "enum": [["long" * 40], 1, {}]}
    made = put_into(json.dumps(given))

    assert put_into(made) == made
    assert json.loads(made) == given | {"definitions": {"mine": {"type": "string"}, **definitions()}}
