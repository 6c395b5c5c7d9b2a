"""Decryption against an encryption of our own, and against texts that only look encrypted."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from gateway_cases import encrypted
from hypothesis import given
from hypothesis import strategies as st

from replicator.apisix.keyring import Keyring, Opener

KEYS = (b"0123456789abcdef", b"qeddd145sfvddff3", b"AAAAAAAAAAAAAAAAbbbbbbbbbbbbbbbb")


@given(st.text(max_size=100), st.sampled_from(KEYS))
def test_opens_what_one_of_its_keys_encrypted(plain: str, key: bytes) -> None:
    text = encrypted(plain.encode(), key)
    assert Keyring([key]).decrypt(text) == plain
    assert Keyring([key]).decrypt(text.rstrip("=") + "=\n anything") == plain


def test_the_first_key_whose_padding_fits_wins() -> None:
    text = encrypted(b"two", KEYS[1])
    assert Keyring(KEYS).decrypt(text) == "two"


@given(st.binary(max_size=40))
def test_bytes_that_are_no_utf8_survive(plain: bytes) -> None:
    text = Keyring(KEYS[:1]).decrypt(encrypted(plain, KEYS[0]))
    assert text.encode("utf-8", "surrogateescape") == plain


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        "plain",
        "AAAAA",
        "c2VjcmV0LWtleQ==",
        "QUJDREVGR0hJSktMTU5PUA==",
        "$ENV://KEY",
        "ä" * 24,
        "A" * 24,
    ],
)
def test_what_no_key_opens_stays(text: str) -> None:
    assert Keyring(KEYS).decrypt(text) == text


@pytest.mark.parametrize("spoil", [lambda text: " " + text, lambda text: text[:3] + "-" + text[4:]])
def test_other_characters_make_it_plain(spoil: object) -> None:
    text = spoil(encrypted(b"secret", KEYS[0]))  # type: ignore[operator]
    assert Keyring(KEYS).decrypt(text) == text


@given(st.binary(min_size=1, max_size=48))
def test_agrees_with_openssl_on_any_bytes(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert Keyring(KEYS[:1]).decrypt(text) == _by_openssl(data, KEYS[0], text)


def _by_openssl(data: bytes, key: bytes, text: str) -> str:
    decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    unpadder = PKCS7(128).unpadder()
    try:
        padded = decryptor.update(data) + decryptor.finalize()
        plain = unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        return text
    return plain.decode("utf-8", "surrogateescape")


def test_an_empty_keyring_opens_nothing_and_shows_nothing() -> None:
    text = encrypted(b"secret", KEYS[0])
    assert Keyring([]).decrypt(text) == text
    assert not Keyring([])
    assert "0123456789abcdef" not in repr(Keyring(KEYS))


def test_what_looks_encrypted_and_stays_shut_is_counted() -> None:
    opener = Opener(Keyring(KEYS[:1]))
    texts = [encrypted(b"opens", KEYS[0]), encrypted(b"shut", KEYS[1]), "plain", "", "QUJD"]
    assert [opener(text) for text in texts] == ["opens", *texts[1:]]
    assert opener.unopened == 1
