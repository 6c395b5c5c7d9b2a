"""A bare watch, which keeps nothing: how fast etcd gives out what happened.

    python -m benchmarks.watch ENDPOINT AFTER LAST WATCHERS

receives all under /apisix after revision AFTER up to LAST, by so many watchers on one stream, each with an
equal share of the revisions: etcd gives an old watcher 1,000 revisions each 100 ms, and all of them so many.
"""

from __future__ import annotations

import sys
from queue import SimpleQueue
from typing import Any

from benchmarks.load import channel_to
from replicator.adapters.etcd_messages import messages

_PREFIX, _END = b"/apisix", b"/apisiy"


def watch(endpoint: str, after: int, last: int, watchers: int) -> int:
    """Return how many events came."""
    step = -(-(last - after) // watchers)
    starts = range(after + 1, last + 1, step)
    ends = {number: min(start + step - 1, last) for number, start in enumerate(starts, 1)}
    requests: SimpleQueue[Any] = SimpleQueue()
    for number, start in enumerate(starts, 1):
        requests.put(_create(number, start))
    events = 0
    with channel_to(endpoint) as channel:
        call = messages.WatchStub(channel).Watch(iter(requests.get, None))
        for response in call:
            events += len(response.events)
            end = ends.get(response.watch_id)
            if end is not None and response.events and response.events[-1].kv.mod_revision >= end:
                del ends[response.watch_id]
                requests.put(_cancel(response.watch_id))
            if not ends:
                break
        call.cancel()
        requests.put(None)
    return events


def _create(number: int, start: int) -> Any:
    wish = messages.WatchCreateRequest(
        key=_PREFIX, range_end=_END, start_revision=start, watch_id=number, fragment=True
    )
    return messages.WatchRequest(create_request=wish)


def _cancel(number: int) -> Any:
    return messages.WatchRequest(cancel_request=messages.WatchCancelRequest(watch_id=number))


if __name__ == "__main__":
    watch(sys.argv[1], *map(int, sys.argv[2:]))
