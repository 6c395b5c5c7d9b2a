"""The probe tells a store that keeps the contract from one that only looks like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from servers.proxy import Answer, Fault, faulty

from replicator.adapters.directory import DirectoryStore
from replicator.adapters.s3 import S3Options, S3Store
from replicator.errors import ObjectExists, StoreMisconfigured
from replicator.flows.probe import Probe, probe, probe_swap

if TYPE_CHECKING:
    from pathlib import Path

    from servers.moto import S3Server

SOUND = Probe(conditional_create=True, returns_bytes=True, lists=True, deletes=True)


def s3_store(endpoint: str, bucket: str) -> S3Store:
    options = S3Options(endpoint, "us-east-1", access_key="some-id", secret_key="some-secret")
    return S3Store(bucket, "some/archive", options)


def test_a_directory_is_sound_and_left_as_it_was(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "archive")
    assert probe(store, "token") == SOUND
    assert list(store.names("")) == []


def test_an_s3_service_is_sound_and_left_as_it_was(s3_server: S3Server, bucket: str) -> None:
    store = s3_store(s3_server.endpoint, bucket)
    assert probe(store, "token") == SOUND
    assert list(store.names("")) == []


def test_a_service_that_ignores_conditions_is_found_out(s3_server: S3Server, bucket: str) -> None:
    with faulty(s3_server.endpoint, dropped_headers=["if-none-match"]) as proxy:
        store = s3_store(proxy.endpoint, bucket)
        found = probe(store, "token")
    assert found == Probe(conditional_create=False, returns_bytes=True, lists=True, deletes=True)


def test_flipped_bytes_are_found_out(s3_server: S3Server, bucket: str) -> None:
    with faulty(s3_server.endpoint, [Fault.NONE, Fault.FLIPPED]) as proxy:
        found = probe(s3_store(proxy.endpoint, bucket), "token")
    assert found == Probe(conditional_create=True, returns_bytes=False, lists=True, deletes=True)


def test_a_token_that_was_used_before_harms_nothing(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.create("probe/token", b"somebody's")
    with pytest.raises(ObjectExists):
        probe(store, "token")
    assert store.get("probe/token") == b"somebody's"


def test_a_store_that_cannot_be_tried_says_why(s3_server: S3Server) -> None:
    with pytest.raises(StoreMisconfigured, match="no-such-bucket"):
        probe(s3_store(s3_server.endpoint, "no-such-bucket"), "token")


def test_a_directory_and_an_s3_service_keep_the_condition_of_a_swap(
    tmp_path: Path, s3_server: S3Server, bucket: str
) -> None:
    for store in (DirectoryStore(tmp_path / "archive"), s3_store(s3_server.endpoint, bucket)):
        assert probe_swap(store, "token") == "kept"
        assert list(store.names("")) == []


def test_a_service_that_ignores_the_condition_of_a_swap_is_found_out(
    s3_server: S3Server, bucket: str
) -> None:
    with faulty(s3_server.endpoint, dropped_headers=["if-match"]) as proxy:
        assert probe_swap(s3_store(proxy.endpoint, bucket), "token") == "ignored"
    assert list(s3_store(s3_server.endpoint, bucket).names("")) == []


def test_a_service_that_refuses_the_condition_of_a_swap_is_found_out(
    s3_server: S3Server, bucket: str
) -> None:
    refusal = Answer(501, b"<Error><Code>NotImplemented</Code><Message>If-Match</Message></Error>")
    with faulty(s3_server.endpoint, [Fault.NONE, Fault.NONE, refusal]) as proxy:
        assert probe_swap(s3_store(proxy.endpoint, bucket), "token") == "refused"
