"""The envelope: what was sealed opens under its own name with its own key, and nothing else opens."""

from __future__ import annotations

import pytest
from damage import damaged
from hypothesis import given
from hypothesis import strategies as st
from servers.keys import OLD_SECRET, SECRET, some_key

from replicator.core import sealing
from replicator.core.sealing import KeyKind, Reference, SealingKey
from replicator.errors import ArchiveDamaged, UsageError

KEY = some_key()
NONCE = bytes(range(12))
NAME = "e00000001/log/00000000000000000002.jsonl.zst"
secrets = st.binary(min_size=32, max_size=32)
tokens = st.binary(max_size=300)
kms_keys = st.builds(lambda secret, token: SealingKey(Reference(KeyKind.KMS, token), secret), secrets, tokens)
all_keys = st.builds(sealing.file_key, secrets) | kms_keys


@given(all_keys, st.binary(min_size=12, max_size=12), st.text(max_size=40), st.binary(max_size=200))
def test_what_was_sealed_opens(key, nonce, name, body) -> None:
    envelope = sealing.seal(key, nonce, name, body)
    assert sealing.is_sealed(envelope)
    assert sealing.reference_of(envelope, "x") == key.reference
    assert sealing.unseal(key, name, envelope) == body


@given(st.binary(min_size=1, max_size=200))
def test_an_envelope_shows_nothing_of_its_object_and_nothing_of_its_key(body) -> None:
    envelope = sealing.seal(KEY, NONCE, NAME, b"marker" + body)
    assert b"marker" not in envelope
    assert SECRET[:8] not in envelope


def opened(key: SealingKey, name: str, envelope: bytes) -> bytes:
    """Do as the store does, which has one key."""
    if not sealing.is_sealed(envelope):
        raise ArchiveDamaged("not sealed")
    if sealing.reference_of(envelope, name) != key.reference:
        raise UsageError("another key")
    return sealing.unseal(key, name, envelope)


@pytest.mark.parametrize("key", [KEY, SealingKey(Reference(KeyKind.KMS, b"w" * 40), SECRET)])
def test_any_damage_is_a_typed_error(key) -> None:
    for wrong in damaged(sealing.seal(key, NONCE, NAME, b"some object")):
        with pytest.raises((ArchiveDamaged, UsageError)):
            opened(key, NAME, wrong)


def test_an_object_under_anothers_name_doesnt_open() -> None:
    envelope = sealing.seal(KEY, NONCE, NAME, b"some object")
    with pytest.raises(ArchiveDamaged, match="isn't what was encrypted under this name with key "):
        sealing.unseal(KEY, NAME.replace("2", "3"), envelope)


def test_a_forged_reference_doesnt_open_with_another_key() -> None:
    old = some_key(OLD_SECRET)
    forged = sealing.seal(SealingKey(KEY.reference, OLD_SECRET), NONCE, NAME, b"some object")
    with pytest.raises(ArchiveDamaged):
        sealing.unseal(KEY, NAME, forged)
    assert old.reference != KEY.reference


def test_large_objects_are_sealed_in_pieces(monkeypatch) -> None:
    whole = sealing.seal(KEY, NONCE, NAME, bytes(100_000))
    monkeypatch.setattr(sealing, "_PIECE_BYTES", 7000)
    assert sealing.seal(KEY, NONCE, NAME, bytes(100_000)) == whole
    assert sealing.unseal(KEY, NAME, whole) == bytes(100_000)


def test_a_later_version_asks_for_a_later_program() -> None:
    envelope = bytearray(sealing.seal(KEY, NONCE, NAME, b"some object"))
    envelope[7] = 2
    with pytest.raises(UsageError, match="in a way that this version doesn't know"):
        sealing.reference_of(bytes(envelope), NAME)


def test_no_key_shows_in_a_repr() -> None:
    assert SECRET.decode() not in repr(KEY)
    assert SECRET.hex() not in repr(KEY)
