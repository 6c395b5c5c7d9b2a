"""replicator with a store that takes its time: ``python -m benchmarks.slowed SECONDS ARGUMENT...``.

To create an object, or to replace one, takes so many seconds longer: what a bucket feels like.
"""

from __future__ import annotations

import sys
import time
from functools import wraps
from typing import TYPE_CHECKING, Any

from replicator.adapters.directory import DirectoryStore
from replicator.adapters.s3 import S3Store
from replicator.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable


def slowed(write: Callable[..., None], seconds: float) -> Callable[..., None]:
    """Return *write* after a pause of so many *seconds*."""

    @wraps(write)
    def written(*arguments: Any, **named: Any) -> None:
        time.sleep(seconds)
        write(*arguments, **named)

    return written


if __name__ == "__main__":
    for store in (DirectoryStore, S3Store):
        for verb in ("create", "replace"):
            setattr(store, verb, slowed(getattr(store, verb), float(sys.argv[1])))
    sys.exit(main(sys.argv[2:]))
