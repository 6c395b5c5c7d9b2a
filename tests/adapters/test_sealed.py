"""Client-side encryption: what is sealed, and how it fails. The store's contract is in test_stores.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from damage import damaged
from memory_store import MemoryStore
from servers.keys import OLD_SECRET, SECRET, key_file, keys, kms_key, some_key

from replicator.adapters.key_file import FileKeys, exposure, read_key_file
from replicator.adapters.kms import KmsKeys, KmsOptions
from replicator.adapters.retrying import Retrying
from replicator.adapters.sealed import SealedStore
from replicator.core import sealing
from replicator.core.sealing import KeyKind, Reference, SealingKey
from replicator.errors import (
    ArchiveDamaged,
    KeyMissing,
    NotSealed,
    ObjectChanged,
    ObjectExists,
    StoreMisconfigured,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.moto import S3Server

NAME = "e00000001/epoch.json"


def sealed(inner: MemoryStore, *secrets: bytes, allow_plaintext: bool = False) -> SealedStore:
    """Return *inner* behind the keys *secrets*."""
    return SealedStore(inner, keys(*secrets), allow_plaintext=allow_plaintext)


def test_what_lies_in_the_store_is_sealed() -> None:
    inner = MemoryStore()
    store = sealed(inner)
    store.create("a", b"plain words")
    store.replace("b", None, b"plain words")
    assert all(map(sealing.is_sealed, inner.objects.values()))
    assert not any(b"plain" in body for body in inner.objects.values())
    assert inner.objects["a"] != inner.objects["b"]


def test_each_damage_of_a_sealed_object_is_a_typed_error() -> None:
    inner = MemoryStore()
    store = sealed(inner)
    store.create(NAME, b"some object")
    for wrong in damaged(inner.objects[NAME]):
        inner.objects[NAME] = wrong
        with pytest.raises((ArchiveDamaged, UsageError)) as raised:
            store.get(NAME)
        assert NAME in str(raised.value)
        assert raised.value.hint


def test_a_moved_object_doesnt_open() -> None:
    inner = MemoryStore()
    sealed(inner).create("e00000001/epoch.json", b"one")
    inner.objects["e00000002/epoch.json"] = inner.objects["e00000001/epoch.json"]
    with pytest.raises(ArchiveDamaged, match="under this name"):
        sealed(inner).get("e00000002/epoch.json")


def test_a_new_key_in_front_seals_and_the_old_one_still_opens() -> None:
    inner = MemoryStore()
    sealed(inner, OLD_SECRET).create("a", b"old")
    both = sealed(inner, SECRET, OLD_SECRET)
    both.create("b", b"new")
    both.create("a", b"old")
    assert (both.get("a"), both.get("b"), sealed(inner, SECRET).get("b")) == (b"old", b"new", b"new")
    with pytest.raises(KeyMissing) as raised:
        sealed(inner, SECRET).get("a")
    wanted, given = some_key(OLD_SECRET).reference, some_key().reference
    assert str(raised.value) == f"a is encrypted with {wanted}; given: {given}"
    assert "encryption.key_file" in raised.value.hint


def test_without_a_key_a_sealed_object_says_which_it_wants() -> None:
    inner = MemoryStore()
    sealed(inner).create("a", b"x")
    with pytest.raises(KeyMissing, match=f"a is encrypted with {some_key().reference}; given: no key"):
        SealedStore(inner, FileKeys(), allow_plaintext=True).get("a")


def test_without_a_key_objects_are_stored_as_they_are() -> None:
    inner = MemoryStore()
    store = SealedStore(inner, FileKeys(), allow_plaintext=True)
    store.create("a", b"x")
    store.replace("a", b"x", b"y")
    assert (store.get("a"), inner.objects) == (b"y", {"a": b"y"})


def test_with_a_key_a_plain_object_is_refused_unless_told_otherwise() -> None:
    inner = MemoryStore()
    inner.objects["a"] = b"slipped in"
    with pytest.raises(NotSealed, match="a isn't encrypted") as raised:
        sealed(inner).get("a")
    assert "allow_plaintext" in raised.value.hint
    with pytest.raises(ObjectExists):
        sealed(inner).create("a", b"slipped in")
    with pytest.raises(ObjectChanged):
        sealed(inner).replace("a", b"slipped in", b"x")
    mixed = sealed(inner, allow_plaintext=True)
    mixed.create("a", b"slipped in")
    mixed.replace("a", b"slipped in", b"x")
    assert (mixed.get("a"), sealing.is_sealed(inner.objects["a"])) == (b"x", True)


def test_a_taken_name_that_doesnt_open_is_taken() -> None:
    inner = MemoryStore()
    sealed(inner).create("a", b"x")
    inner.objects["a"] = inner.objects["a"][:-1] + b"?"
    with pytest.raises(ObjectExists):
        sealed(inner).create("a", b"x")
    with pytest.raises(ObjectChanged):
        sealed(inner).replace("a", b"x", b"y")


@pytest.mark.parametrize("text", ["%s", "  %s  # the newest\n\n# old ones\n", "\n%s"])
def test_a_key_file(tmp_path, text) -> None:
    path = tmp_path / "keys"
    path.write_text(text % SECRET.hex())
    assert read_key_file(path) == (some_key(),)
    assert read_key_file(key_file(tmp_path / "more", SECRET, OLD_SECRET)) == (
        some_key(),
        some_key(OLD_SECRET),
    )


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "holds no key"),
        (b"# nothing\n", "holds no key"),
        (b"this-is-secret-0", "keys:1: neither base64 nor"),
        (b"\n" + SECRET, "keys:2: neither base64 nor"),
        (b"dGhpcy1pcy1zZWNyZXQtMA==", "keys:1: a key of 16 bytes, where it takes 32"),
        (b"\xff", "isn't text"),
    ],
)
def test_what_is_no_key_file_is_told_and_not_shown(tmp_path, content, cause) -> None:
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=cause) as raised:
        read_key_file(path)
    assert "this-is" not in f"{raised.value} {raised.value.hint}"
    with pytest.raises(UsageError, match="No such file"):
        read_key_file(tmp_path / "none")


def test_an_open_key_file_is_told(tmp_path) -> None:
    path = key_file(tmp_path / "keys")
    assert exposure(path) is None
    path.chmod(0o640)
    assert "mode 0640" in str(exposure(path))
    assert exposure(tmp_path / "none") is None


@pytest.fixture
def kms(s3_server: S3Server) -> Callable[..., KmsKeys]:
    """Return a function from ids of KMS keys, the one that wraps first, to their `Keys`."""

    def opened(key_id: str, *old: str, endpoint: str = s3_server.endpoint) -> KmsKeys:
        options = KmsOptions(key_id, old, endpoint, "us-east-1", "some-id", "some-secret")
        return KmsKeys(options, keys(OLD_SECRET), Retrying(total_seconds=0.2))

    return opened


def test_kms_wraps_a_key_for_each_process_and_opens_those_of_others(kms, s3_server) -> None:
    inner, key_id = MemoryStore(), kms_key(s3_server.endpoint)
    first, second = (SealedStore(inner, kms(key_id)) for _ in range(2))
    first.create("a", b"one")
    first.create("b", b"two")
    second.create("a", b"one")
    assert (second.get("a"), second.get("b")) == (b"one", b"two")
    tokens = {sealing.reference_of(body, "x").token for body in inner.objects.values()}
    assert len(tokens) == 1
    second.create("c", b"three")
    assert first.get("c") == b"three"


def test_another_kms_key_takes_over_and_the_old_one_opens(kms, s3_server) -> None:
    inner, old, new = MemoryStore(), kms_key(s3_server.endpoint), kms_key(s3_server.endpoint)
    SealedStore(inner, kms(old)).create("a", b"one")
    assert SealedStore(inner, kms(new, old)).get("a") == b"one"
    with pytest.raises((KeyMissing, StoreMisconfigured)):  # AWS says IncorrectKey, moto AccessDenied
        SealedStore(inner, kms(new)).get("a")


def test_from_a_key_file_to_kms(kms, s3_server) -> None:
    inner = MemoryStore()
    sealed(inner, OLD_SECRET).create("a", b"one")
    store = SealedStore(inner, kms(kms_key(s3_server.endpoint)))
    store.create("b", b"two")
    assert (store.get("a"), store.get("b")) == (b"one", b"two")
    with pytest.raises(KeyMissing, match="no KMS key is configured") as raised:
        sealed(inner).get("b")
    assert "encryption.kms_key_id" in raised.value.hint


def test_a_forged_data_key_opens_nothing(kms, s3_server) -> None:
    inner = MemoryStore()
    forger = SealingKey(Reference(KeyKind.KMS, b"wrapped by nobody"), SECRET)
    inner.objects["a"] = sealing.seal(forger, bytes(12), "a", b"one")
    with pytest.raises((KeyMissing, StoreMisconfigured)):
        SealedStore(inner, kms(kms_key(s3_server.endpoint))).get("a")


def test_a_kms_that_refuses_or_is_away_says_so(kms) -> None:
    with pytest.raises(StoreMisconfigured, match="KMS GenerateDataKey") as raised:
        SealedStore(MemoryStore(), kms("no-such-key")).create("a", b"one")
    assert "kms:GenerateDataKey" in raised.value.hint
    with pytest.raises(Exception, match="KMS GenerateDataKey") as raised:
        SealedStore(MemoryStore(), kms("x", endpoint="http://127.0.0.1:1")).create("a", b"one")
    assert "kms_endpoint" in raised.value.hint
