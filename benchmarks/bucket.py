"""An S3 service of its own process, moto, so that it takes no turns with whoever measures.

``python -m benchmarks.bucket`` prints its endpoint, and serves until its stdin is closed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from servers.ceph import Rgw
from servers.moto import running_s3

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def serving() -> Iterator[Rgw]:
    """Serve until the block ends."""
    command = (sys.executable, "-m", "benchmarks.bucket")
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}  # the servers of the tests are no package
    with subprocess.Popen(
        command, env=os.environ | path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Rgw(process.stdout.readline().strip())
        finally:
            process.stdin.close()


if __name__ == "__main__":
    with running_s3() as server:
        print(server.endpoint, flush=True)
        sys.stdin.read()
