"""Secrets, addresses and key prefixes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.config.values import (
    ArchiveUrl,
    Listen,
    Secret,
    parse_endpoint,
    parse_http_url,
    parse_key_prefix,
    parse_share,
)
from replicator.errors import UsageError

path_parts = st.text(min_size=1).filter(lambda part: not {"/", "\0"} & set(part) and part.isprintable())


@given(st.text(min_size=5))
def test_a_secret_is_shown_only_by_reveal(text: str) -> None:
    secret = Secret(text)

    assert text == secret.reveal()
    assert {"Secret(...)"} == {repr(secret), str(secret), f"{secret}", repr([secret])[1:-1]}
    assert Secret(text) == secret
    assert secret != text
    assert hash(Secret(text)) == hash(secret)


@given(st.lists(path_parts, min_size=1).map("/".join))
def test_a_directory_reads_back_as_it_is_shown(path: str) -> None:
    place = ArchiveUrl(bucket="", path=f"/{path}")

    assert place == ArchiveUrl.parse(str(place)) or "@" in path


@pytest.mark.parametrize(
    ("text", "bucket", "path"),
    [
        ("file:///var/lib/archive", "", "/var/lib/archive"),
        ("file:///var/lib/archive/", "", "/var/lib/archive"),
        ("file:///with%20blank", "", "/with blank"),
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/", "bucket", ""),
        ("s3://my.bucket-1/team/apisix/", "my.bucket-1", "team/apisix"),
        ("s3://bucket/a%20b", "bucket", "a%20b"),
    ],
)
def test_an_archive_is_named_by_its_url(text: str, bucket: str, path: str) -> None:
    place = ArchiveUrl.parse(text)

    assert ArchiveUrl(bucket=bucket, path=path) == place
    assert text.rstrip("/") == str(place)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "s3://bucket/path"),
        ("/var/lib/my archive", "file:///var/lib/my%20archive"),
        ("/var/lib/archive", "file:///var/lib/archive"),
        ("archive", "s3://bucket/path"),
        ("file://archive", "file:///archive"),
        ("file://localhost/archive", "file:///localhost/archive"),
        ("file:archive", "file:///absolute/path"),
        ("file:///", "file:///absolute/path"),
        ("file:///a%00b", "file:///absolute/path"),
        ("gs://bucket/path", "s3://bucket/path"),
        ("s3:///path", "s3://bucket/path"),
        ("s3://b/path", "s3://bucket/path"),
        ("s3://bucket/a//b", "s3://bucket/path"),
        ("s3://bucket/../path", "s3://bucket/path"),
        ("s3://bucket/path?versionId=1", "%3F"),
        ("s3://[bucket", ""),
    ],
)
def test_what_names_no_archive_is_refused(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        ArchiveUrl.parse(text)

    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://127.0.0.1:2379", "http://127.0.0.1:2379"),
        ("https://etcd-0.example.com:2379/", "https://etcd-0.example.com:2379"),
        ("http://[::1]:2379", "http://[::1]:2379"),
    ],
)
def test_an_endpoint_is_a_scheme_a_host_and_a_port(text: str, expected: str) -> None:
    assert expected == parse_endpoint(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:2379",
        "localhost",
        "http://127.0.0.1",
        "http://:2379",
        "http://host:port",
        "http://host:0",
        "http://host:99999",
        "http://host:2379/v3",
        "http://host:2379?a=b",
        "http://host: 2379",
        "http://[::1:2379",
        "unix:///run/etcd.sock",
    ],
)
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"must have|no http|no address|has a blank"):
        parse_endpoint(text)


@pytest.mark.parametrize("parse", [parse_endpoint, parse_http_url, ArchiveUrl.parse])
def test_an_address_with_a_password_is_refused_unshown(parse: type) -> None:
    with pytest.raises(UsageError) as refused:
        parse("https://root:hunter2@host:2379")

    assert "hunter2" not in f"{refused.value}{refused.value.hint}"
    assert "settings of their own" in refused.value.hint


@pytest.mark.parametrize("text", ["https://s3.example.com", "http://127.0.0.1:9000/", "http://gw:80/v1"])
def test_an_http_url_is_taken_without_its_last_slash(text: str) -> None:
    assert text.rstrip("/") == parse_http_url(text)


@pytest.mark.parametrize("text", ["s3.example.com", "ftp://s3.example.com", "http://"])
def test_what_is_no_http_url_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no http://"):
        parse_http_url(text)


@pytest.mark.parametrize("text", ["/apisix", "/apisix/", "/a/b"])
def test_a_key_prefix_is_taken_byte_for_byte(text: str) -> None:
    assert text == parse_key_prefix(text)


@pytest.mark.parametrize("text", ["", "/", "//", "apisix", " /apisix"])
def test_what_is_no_key_prefix_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match='must begin with "/" and go on'):
        parse_key_prefix(text)


@pytest.mark.parametrize("text", ["127.0.0.1:9465", "[::1]:9465", "0.0.0.0:0", "metrics.example.com:65535"])
def test_an_address_to_listen_at_reads_back_as_it_is_shown(text: str) -> None:
    assert text == str(Listen.parse(text))


@pytest.mark.parametrize("text", ["", "9465", ":9465", "host", "::1:9465", "host:65536", "a b:1", "h:1/x"])
def test_what_is_no_address_to_listen_at_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no address to listen at"):
        Listen.parse(text)


@pytest.mark.parametrize(("text", "share"), [("0%", 0), ("50%", 0.5), ("12.5%", 0.125), ("100%", 1)])
def test_a_share_is_read(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["", "50", "0.5", "101%", "-1%", "1e1%", "%", " 5%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no share"):
        parse_share(text)
