"""A bare read of all keys, page by page, which keeps nothing.

python -m benchmarks.pages ENDPOINT
"""

from __future__ import annotations

import sys

from benchmarks.load import channel_to
from replicator.adapters.etcd_messages import messages

_PAGE_KEYS = 1000


def read(endpoint: str) -> int:
    """Return how many keys there are under /apisix."""
    keys, start, revision = 0, b"/apisix", 0
    with channel_to(endpoint) as channel:
        kv = messages.KVStub(channel)
        while True:
            request = messages.RangeRequest(
                key=start, range_end=b"/apisiy", limit=_PAGE_KEYS, revision=revision
            )
            page = kv.Range(request)
            keys += len(page.kvs)
            if not page.more:
                return keys
            revision = revision or page.header.revision
            start = page.kvs[-1].key + b"\0"


if __name__ == "__main__":
    read(sys.argv[1])
