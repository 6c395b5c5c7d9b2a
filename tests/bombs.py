"""Objects made to harm: a few bytes whose text is many gigabytes long, in a frame and trailer that fit.

    python bombs.py KIND LIMIT_BYTES

decodes the bomb KIND in a process whose memory is limited, and prints the error that it ends in.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from replicator.core import objects
from replicator.errors import ReplicatorError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterable

MIB = 1 << 20
_BLOCK_BYTES = 1 << 17


def framed(frame: bytes) -> bytes:
    """Return *frame* with the trailer that fits it."""
    head = bytes.fromhex("5e2a4d18") + (32).to_bytes(4, "little")
    return frame + head + hashlib.sha256(frame).digest()


def packed(pieces: Iterable[bytes]) -> bytes:
    """Return an object whose text is *pieces*."""
    compressor = zstd.ZstdCompressor()
    return framed(b"".join([*map(compressor.compress, pieces), compressor.flush()]))


def repeated(byte: bytes, blocks: int, head: bytes = b"", window_log: int = 20) -> bytes:
    """Return an object whose text is *head*, then *blocks* times 128 KiB of *byte*."""
    descriptor = bytes([(window_log - 10) << 3])
    raw = (len(head) << 3).to_bytes(3, "little") + head
    block = (_BLOCK_BYTES << 3 | 1 << 1).to_bytes(3, "little") + byte
    last = (1).to_bytes(3, "little")
    return framed(bytes.fromhex("28b52ffd") + b"\0" + descriptor + raw + block * blocks + last)


HEADER = {"archive_id": "a", "epoch": 1, "revision": 1, "writer": "w", "format": 1}
SEGMENT_HEAD = json.dumps({"kind": "segment"} | HEADER).encode() + b"\n"
SNAPSHOT_HEAD = json.dumps({"kind": "snapshot"} | HEADER).encode() + b"\n"
_EVENT = (
    b'{"op":"put","observed_at":"2026-01-01T00:00:00Z","key":"/a","create_revision":2,"mod_revision":2,'
    b'"version":1,"lease":0,"value":1}\n'
)
_RECORD = b'{"key":"/a","create_revision":2,"mod_revision":2,"version":1,"lease":0,"value":1}\n'


def _filled(line: bytes) -> bytes:
    return line * (MIB // len(line))


BOMBS = {
    "an endless header": lambda: repeated(b"x", 80_000),
    "an endless line in a segment": lambda: repeated(b"x", 80_000, SEGMENT_HEAD),
    "an endless line in a snapshot": lambda: repeated(b"x", 80_000, SNAPSHOT_HEAD),
    "endless empty lines": lambda: repeated(b"\n", 80_000, SNAPSHOT_HEAD),
    "endless events": lambda: packed([SEGMENT_HEAD, *([_filled(_EVENT)] * 300)]),
    "one key again and again": lambda: packed([SNAPSHOT_HEAD, *([_filled(_RECORD)] * 300)]),
    "a huge window": lambda: repeated(b"x", 8, SEGMENT_HEAD, window_log=31),
    "a line of brackets": lambda: packed([SEGMENT_HEAD, *([b"[" * MIB] * 100), b"\n{}\n"]),
}


def main(kind: str, limit_bytes: int) -> None:
    """Decode the bomb *kind*, both as a segment and as a snapshot."""
    body = BOMBS[kind]()
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    for decode in (objects.decode_segment, objects.decode_snapshot):
        try:
            decode(body, "x")
        except ReplicatorError as error:
            print(f"{type(error).__name__}: {error}")  # noqa: T201 (the answer)
    print(len(body), _peak_bytes())  # noqa: T201


def _peak_bytes() -> int:
    """Return the most memory that this process has had; getrusage would count its parent's as well."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) << 10


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
