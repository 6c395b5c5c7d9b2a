"""The floor of a restore: read objects, decompress them, decode every line's JSON, and keep nothing.

python -m benchmarks.decode msgspec|json FILE...
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


def decode(library: str, *objects: str) -> int:
    """Return how many lines the *objects* have, after each was decoded by *library*."""
    loads = json.loads if library == "json" else msgspec.json.Decoder().decode
    count = 0
    for path in objects:
        lines = zstd.decompress(Path(path).read_bytes()).splitlines()
        for line in lines:
            loads(line)
        count += len(lines)
    return count


if __name__ == "__main__":
    decode(*sys.argv[1:])
