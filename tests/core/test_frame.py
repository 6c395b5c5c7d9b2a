"""The frame: any reader of zstd sees the text, and ours sees any damage."""

from __future__ import annotations

import hashlib
import sys

import pytest
from damage import damaged
from hypothesis import given
from hypothesis import strategies as st

from replicator.core import frame
from replicator.errors import ArchiveDamaged

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

texts = st.lists(st.binary(max_size=64).map(lambda line: line + b"\n"), max_size=20)


def sealed(compressed: bytes) -> bytes:
    """Return *compressed* with the trailer that fits it."""
    head = bytes.fromhex("5e2a4d18") + (32).to_bytes(4, "little")
    return compressed + head + hashlib.sha256(compressed).digest()


@given(texts)
def test_the_text_comes_back(lines) -> None:
    assert b"".join(lines) == b"".join(frame.unpack(frame.pack(lines), "x"))


@given(texts)
def test_a_foreign_reader_sees_the_text_alone(lines) -> None:
    assert b"".join(lines) == zstd.decompress(frame.pack(lines))


@given(texts)
def test_the_trailer_is_the_digest_of_all_before_it(lines) -> None:
    body = frame.pack(lines)
    assert sealed(body[: -frame.TRAILER_BYTES]) == body
    assert hashlib.sha256(body[: -frame.TRAILER_BYTES]).hexdigest() == frame.digest_of(body)


@pytest.mark.parametrize("size_bytes", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_000])
def test_large_texts_come_in_chunks(size_bytes) -> None:
    line = b"7" * size_bytes + b"\n"
    chunks = list(frame.unpack(frame.pack([line, line]), "x"))
    assert line + line == b"".join(chunks)
    assert max(map(len, chunks)) <= 1 << 20


def test_any_damage_is_told_before_the_first_chunk() -> None:
    body = frame.pack([b"a line\n", b"another\n"])
    for wrong in damaged(body):
        with pytest.raises(ArchiveDamaged, match="x is damaged: its SHA-256 doesn't fit"):
            next(frame.unpack(wrong, "x"))


@pytest.mark.parametrize(
    ("compressed", "cause"),
    [
        (b"", "ends too early"),
        (zstd.compress(b"text")[:-1], "ends too early"),
        (zstd.compress(b"text") + b"more", "bytes follow"),
        (b"no frame at all", "can't be decompressed"),
    ],
)
def test_a_whole_trailer_around_no_frame_is_damage_too(compressed, cause) -> None:
    with pytest.raises(ArchiveDamaged, match=cause):
        list(frame.unpack(sealed(compressed), "x"))
