"""Settings from a file and an environment, and what is refused."""

from __future__ import annotations

import re
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from every_setting import EVERYTHING
from hypothesis import given
from hypothesis import strategies as st

from replicator.config import ArchiveUrl, EncryptedFields, Encryption, Secret, Settings, load
from replicator.config.keys import known
from replicator.config.reader import expand, literal
from replicator.config.values import HttpUrl, Listen
from replicator.core.retention import RetentionRule
from replicator.core.schedule import Schedule
from replicator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "replicator.yaml"


def refusal(file: Path, text: str, environ: Mapping[str, str] | None = None) -> UsageError:
    """Return the error that the settings *text* meet, its place cut down to line and complaint."""
    file.write_text(text)
    with pytest.raises(UsageError) as refused:
        load(file, environ or {})
    assert refused.value.exit_code == 2
    short = str(refused.value).replace(f"{file}:", "")
    return UsageError(short, hint=refused.value.hint)


def test_without_a_file_and_an_environment_all_is_default() -> None:
    settings = load(None, {})

    assert Settings() == settings
    assert settings.archive is None
    assert settings.etcd.endpoints == ("http://127.0.0.1:2379",)
    assert settings.apisix.keyring is None


def test_each_setting_is_read_as_its_type_says(file: Path) -> None:
    file.write_text(EVERYTHING)

    settings = load(file, {"ETCD_PASSWORD": "p: ]"})

    etcd, apisix = settings.etcd, settings.apisix
    assert etcd.endpoints == ("https://a:2379", "https://b:2379")
    assert etcd.prefix == "/gateway/"
    assert Secret("p: ]") == etcd.password
    assert ArchiveUrl("bucket", "path") == settings.archive
    assert settings.s3.use_path_style
    assert Secret("0123") == settings.s3.secret_key
    assert settings.s3.sse_kms_key_id is None
    assert settings.encryption == Encryption(
        key_file="keys.txt",
        kms_key_id="alias/archive",
        kms_old_key_ids=("alias/old",),
        kms_endpoint=HttpUrl("https://kms.example.com"),
        allow_plaintext=True,
    )
    assert timedelta(0) == settings.capture.flush_interval
    assert settings.capture.flush_bytes == 524_288
    assert settings.capture.spool == "/spool"
    assert settings.capture.spool_max_bytes == 10**9
    assert timedelta(seconds=10) == settings.capture.lease
    assert Schedule("@every 1h30m") == settings.snapshot.cron_spec
    assert Listen("::1", 9465) == settings.metrics.listen
    assert RetentionRule(timedelta(days=30), timedelta(days=365)) == settings.retention.rule
    assert apisix.version == "3.10"
    assert apisix.keyring == (Secret("0123456789abcdef"), Secret("${not a variable}"))
    assert apisix.plugins == ("cors", "key-auth")
    assert apisix.stream_plugins == ()
    expected = {"my-plugin": EncryptedFields(schema=("secret", "auth.token")), "key-auth": EncryptedFields()}
    assert expected == apisix.encrypt_fields
    agent = settings.agent
    assert agent.reload == ("docker", "exec", "gateway", "apisix", "reload")
    assert agent.resource_file == "/conf/apisix.json"
    assert agent.wipe_guard == 0.125
    assert timedelta(hours=1) == agent.wipe_guard_after
    assert agent.when_stale == "refuse"
    assert agent.push == "http://127.0.0.1:9180"
    assert Secret("admin") == agent.push_key


def test_the_example_above_names_every_setting() -> None:
    for name in known():
        assert f"{name.rpartition('.')[2]}:" in EVERYTHING


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "etcd:\n", "etcd: {}\n", "etcd: {username: , cert: ~}\n"]
)
def test_what_is_left_out_has_its_default(text: str, file: Path) -> None:
    file.write_text(text)

    assert Settings() == load(file, {})


@pytest.mark.parametrize(
    ("text", "complaint", "hint"),
    [
        ("etcd:\n  endpoint: [a]", "2: unknown setting etcd.endpoint", "did you mean etcd.endpoints?"),
        ("endpoints: [a]", "1: unknown setting endpoints", "did you mean etcd.endpoints?"),
        ("etdc: {}", "1: unknown setting etdc", "did you mean etcd?"),
        (
            "etcd:\n  flush_interval: 1s",
            "2: unknown setting etcd.flush_interval",
            "mean capture.flush_interval?",
        ),
        ("s3_region: x", "1: unknown setting s3_region", "did you mean s3.region?"),
        (
            "<<: {}",
            "1: unknown setting <<",
            "known here: etcd, archive, s3, encryption, capture, snapshot, metrics, retention, apisix, ",
        ),
        (
            "apisix:\n  encrypt_fields:\n    jwt-auth:\n      consumer_shcema: [a]",
            "4: unknown setting apisix.encrypt_fields.jwt-auth.consumer_shcema",
            "did you mean apisix.encrypt_fields.jwt-auth.consumer_schema?",
        ),
    ],
)
def test_an_unknown_setting_is_refused_and_the_nearest_is_named(
    text: str, complaint: str, hint: str, file: Path
) -> None:
    error = refusal(file, text)

    assert complaint == str(error)
    assert hint in error.hint


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- a", "1: expected a mapping (name: value), not a list"),
        ("just text", "1: expected a mapping (name: value), not a text"),
        ("\netcd: a", "2: etcd: expected a mapping (name: value), not a text"),
        ("etcd: {endpoints: http://a:1}", "1: etcd.endpoints: expected a list, not a text"),
        ("etcd:\n  endpoints:\n  - {}", "3: etcd.endpoints[0]: expected a text, not a mapping"),
        ("apisix:\n  plugins:\n  - a\n  -", "4: apisix.plugins[1]: expected a text, not nothing"),
        ("archive: [a]", "1: archive: expected a text, not a list"),
        (
            "apisix: {encrypt_fields: []}",
            "1: apisix.encrypt_fields: expected a mapping (name: value), not a list",
        ),
        (
            "apisix: {encrypt_fields: {a: b}}",
            "1: apisix.encrypt_fields.a: expected a mapping (name: value), not a text",
        ),
        ("etcd: {prefix: apisix}", '1: etcd.prefix: "apisix" is no prefix: it must begin with "/" and go on'),
        ("etcd: {endpoints: [a]}", '1: etcd.endpoints[0]: "a" is no http:// or https:// address'),
        ("etcd: {endpoints: []}", "1: etcd: endpoints is empty"),
        ("etcd: {endpoints: [http://a:1, https://a:1]}", "1: etcd: endpoints mixes http and https"),
        ("etcd: {username: root}", "1: etcd: username and password go together"),
        ("etcd: {key: k}", "1: etcd: cert and key go together"),
        ("etcd: {cacert: c}", "1: etcd: certificates are given, but the endpoints are http"),
        ("s3: {access_key: k}", "1: s3: access_key and secret_key go together"),
        (
            "encryption: {kms_endpoint: http://a}",
            "1: encryption: settings of KMS are given, but no kms_key_id",
        ),
        (
            "encryption: {allow_plaintext: true}",
            "1: encryption: allow_plaintext is given, but neither key_file nor kms_key_id",
        ),
        ("s3:\n  use_path_style: on", '2: s3.use_path_style: "on" is neither true nor false'),
        ("archive: /var/lib", '1: archive: "/var/lib" is a path, not a URL'),
        ("capture:\n  flush_interval: 1", '2: capture.flush_interval: "1" is no duration'),
        ("capture:\n  flush_interval: -1s", '2: capture.flush_interval: "-1s" is no duration'),
        ("capture:\n  flush_bytes: lots", '2: capture.flush_bytes: "lots" is no size'),
        ("capture:\n  flush_bytes: 0", "1: capture: flush_bytes must be more than 0"),
        ("capture:\n  spool_max_bytes: 0", "1: capture: spool_max_bytes must be more than 0"),
        ("capture:\n  spool: here", '1: capture: spool "here" is no absolute path'),
        ("capture:\n  lease: 500ms", "1: capture: lease must be at least 1s"),
        ("snapshot: {cron_spec: '@often'}", '1: snapshot.cron_spec: "@often" is no schedule'),
        ("etcd: {prefix: 1, prefix: 2}", '1: "prefix" is given twice, first at 1'),
        ("archive: ${HOME_DIR}", "1: archive: the environment variable HOME_DIR is not set"),
        ("archive: ${A:-b}", "1: archive: ${...} doesn't hold the name of a variable"),
        ("archive: a${", "1: archive: ${...} doesn't hold the name of a variable"),
    ],
)
def test_a_value_that_cant_be_meant_is_refused_with_its_line_and_name(
    text: str, complaint: str, file: Path
) -> None:
    error = refusal(file, text)

    assert complaint == str(error)
    assert error.hint or "neither true nor false" in complaint


@pytest.mark.parametrize("key", ["password", "keyring", "secret_key", "access_key"])
@pytest.mark.parametrize(
    "written",
    [
        "*hunter2",
        "&hunter2 a",
        "!hunter2",
        "!hunter2!a b",
        "[[hunter2]]",
        "[hunter2",
        "[{hunter2: 1}]",
        "'hunter2",
        '"hunter2\\z"',
        "a: hunter2",
        "@hunter2",
        "%hunter2",
        "`hunter2",
        ">hunter2",
        "${hunter2 }",
        "{a: hunter2}",
    ],
)
def test_no_error_shows_a_secret(key: str, written: str, file: Path) -> None:
    section = {"password": "etcd", "keyring": "apisix"}.get(key, "s3")
    file.write_text(f"{section}:\n  {key}: {written}\n")

    with pytest.raises(UsageError) as refused:
        load(file, {})

    assert "hunter2" not in refused.value.hint
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))
    assert re.search(rf"{file}:2: |{file}:3: .*\(line 2\)", str(refused.value))


def test_settings_dont_show_their_secrets(file: Path) -> None:
    file.write_text(EVERYTHING)
    shown = repr(load(file, {"ETCD_PASSWORD": "hunter2"}))

    assert "Secret(...)" in shown
    for secret in ("hunter2", "AKIA", "0123"):
        assert secret not in shown


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_literal_is_what_expand_undoes(text: str, environ: dict[str, str]) -> None:
    assert text == expand(literal(text), environ)


def test_a_variable_is_put_in_as_it_stands() -> None:
    assert expand("${A}-${B_1}$A $${A}", {"A": "${B_1}", "B_1": "x"}) == "${B_1}-x$A ${A}"


@given(st.text(), st.text(alphabet="${}AB"))
def test_any_text_expands_or_is_a_usage_error(value: str, text: str) -> None:
    try:
        expanded = expand(text, {"A": value})
    except UsageError:
        assert "${" in text
    else:
        assert expanded == text or "${" in text
