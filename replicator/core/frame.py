"""An object's outermost bytes: a zstd frame that carries text, then its SHA-256 in a skippable frame.

``zstdcat`` shows the text and passes over the trailer; a reader of ours verifies the trailer first, so
that a single changed, missing or added byte anywhere is noticed before anything is believed.
"""

from __future__ import annotations

import hashlib
import math
import sys
from io import BytesIO
from typing import TYPE_CHECKING

from replicator.errors import ArchiveDamaged

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# A skippable frame: magic 0x184D2A5E and the length of what follows, both little-endian (RFC 8878, 3.1.2).
_TRAILER_HEAD = bytes.fromhex("5e2a4d18") + (32).to_bytes(4, "little")
TRAILER_BYTES = len(_TRAILER_HEAD) + 32

DAMAGE_HINT = (
    "bring the object back from a replica or an older version of the bucket, or restore another moment"
)

_LEVEL = 3
_CHUNK_BYTES = 1 << 20
_WINDOW_LOG_MAX = 27  # 128 MiB: what zstd's own command line accepts without being asked


def pack(lines: Iterable[bytes]) -> bytes:
    """Return the object whose text is *lines*; each must end in a newline."""
    compressor = zstd.ZstdCompressor(level=_LEVEL)
    body = BytesIO()  # grows in place and gives its bytes away without a copy: a snapshot may be large
    for chunk in _gather(lines):
        body.write(compressor.compress(chunk))
    body.write(compressor.flush())
    with body.getbuffer() as frame:
        digest = hashlib.sha256(frame).digest()
    body.write(_TRAILER_HEAD + digest)
    return body.getvalue()


def unpack(body: bytes, name: str, limit_bytes: int | None = None) -> Iterator[bytes]:
    """Yield the text of the object *body* in chunks of about 1 MiB; *name* is for the error alone.

    The trailer is verified before the first chunk. A few bytes can hold a text of any length: who keeps what
    this yields says how much of it can be meant, *limit_bytes*.

    Raises:
        ArchiveDamaged: These aren't the bytes that were packed, or their text is too long.
    """
    left_bytes = math.inf if limit_bytes is None else limit_bytes
    for chunk in _chunks(body, name):
        left_bytes -= len(chunk)
        if left_bytes < 0:
            raise _damaged(name, f"its text is longer than {limit_bytes} bytes")
        yield chunk


def _chunks(body: bytes, name: str) -> Iterator[bytes]:
    frame = memoryview(body)[:-TRAILER_BYTES]
    if body[-TRAILER_BYTES:] != _TRAILER_HEAD + hashlib.sha256(frame).digest():
        raise _damaged(name, "its SHA-256 doesn't fit its bytes")
    decompressor = zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG_MAX}
    )
    try:
        yield decompressor.decompress(frame, max_length=_CHUNK_BYTES)
        while not decompressor.eof:
            chunk = decompressor.decompress(b"", max_length=_CHUNK_BYTES)
            if not chunk and decompressor.needs_input:
                raise _damaged(name, "its compressed text ends too early")
            yield chunk
    except zstd.ZstdError as error:
        raise _damaged(name, f"its text can't be decompressed ({error})") from error
    if decompressor.unused_data:
        raise _damaged(name, "bytes follow its compressed text")


def digest_of(body: bytes) -> str:
    """Return the SHA-256 that the trailer of *body* states, 64 hexadecimal digits."""
    return body[-32:].hex()


def is_whole(body: bytes, digest: str) -> bool:
    """Tell whether *body* is the object of that SHA-256, in its trailer and in fact."""
    return digest_of(body) == digest == hashlib.sha256(memoryview(body)[:-TRAILER_BYTES]).hexdigest()


def _gather(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join *lines* into chunks worth a call of the compressor."""
    held: list[bytes] = []
    held_bytes = 0
    for line in lines:
        held.append(line)
        held_bytes += len(line)
        if held_bytes >= _CHUNK_BYTES:
            yield b"".join(held)
            held, held_bytes = [], 0
    yield b"".join(held)


def _damaged(name: str, cause: str) -> ArchiveDamaged:
    return ArchiveDamaged(f"{name} is damaged: {cause}", hint=DAMAGE_HINT)
