"""The floor of a restore: read a snapshot, decompress it, decode every line's JSON, and keep nothing.

python -m benchmarks.decode FILE msgspec|json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def decode(snapshot: str, library: str) -> int:
    """Return how many lines the object *snapshot* has, after each was decoded by *library*."""
    loads = json.loads if library == "json" else msgspec.json.Decoder().decode
    lines = zstd.decompress(Path(snapshot).read_bytes()).splitlines()
    for line in lines:
        loads(line)
    return len(lines)


if __name__ == "__main__":
    decode(*sys.argv[1:])
