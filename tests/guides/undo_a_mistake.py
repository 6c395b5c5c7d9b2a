"""Makes docs/guides/undo-a-mistake.md by doing what it tells, with a real etcd and a real recorder.

From the project's root:

    PYTHONPATH=tests .venv/bin/python -m guides.undo_a_mistake > docs/guides/undo-a-mistake.md
"""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from servers.command import replicator, running
from servers.etcd import Etcd
from servers.etcd_json import EtcdJson

from replicator.adapters.etcd_server import find_etcd

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_BEGAN = datetime(2026, 11, 23, 2, 40, tzinfo=UTC)  # what the page has in the place of real times
_EACH = timedelta(minutes=4, seconds=7)

_ROUTE = {
    "uri": "/checkout",
    "service_id": "checkout",
    "plugins": {"limit-count": {"count": 100, "time_window": 60}},
}
_SHOP = {
    "upstreams/checkout": {"type": "roundrobin", "nodes": {"10.0.2.21:8080": 1, "10.0.2.22:8080": 1}},
    "services/checkout": {"upstream_id": "checkout"},
    "routes/checkout": _ROUTE,
    "routes/catalog": {"uri": "/catalog/*", "upstream_id": "checkout"},
}
_BAD = [
    ("routes/catalog", {"uri": "/catalog/*", "upstream_id": "checkout", "priority": 5}),
    ("routes/checkout", _ROUTE | {"plugins": {"limit-count": {"count": 1, "time_window": 60}}}),
    ("routes/search", {"uri": "/search", "upstream_id": "checkout"}),
]

_TEXT = """# Undo a mistake

A walk through a real case, from the complaint to the check. Made by `tests/guides/undo_a_mistake.py`, which
does all of this with a real etcd; a test holds this page to what it gives. (Times are the page's own.)

A shop's gateway is recorded by `replicator run`. In the night three people change something; then the
checkout answers 429 to nearly everybody.

## 1. What happened lately?

{history}

Somebody set the limit of the checkout from 100 to 1. Two other changes came before and after it: they are
none of our business, and must stay.

## 2. Was it that?

What the route was before, and since when each of its fields is what it is now:

{show}

{blame}

When it isn't so clear, [`bisect`](../history.md#bisect-which-change-broke-it) finds the change with a probe
of yours.

## 3. Undo just that

First the plan. It looks at etcd as it is now:

{plan}

Then the same with `--yes`. Had somebody else changed the route since the plan was made, it would have
stopped:

{rollback}

## 4. Check

The route is what it was; what the others did is still there:

{check}

{rest}

And the undoing is part of the history, as all else:

{after}
"""


def page() -> str:
    """Return the guide, with what the commands say now."""
    with TemporaryDirectory() as folder, Etcd(Path(folder) / "etcd", find_etcd()) as etcd:
        settings = Path(folder) / "replicator.yaml"
        content = {
            "etcd": {"endpoints": [etcd.endpoint]},
            "archive": f"file://{folder}/archive",
            "capture": {"flush_interval": "0"},
        }
        settings.write_text(json.dumps(content))
        with EtcdJson(etcd.endpoint) as client, running(Path(folder) / "log", "-c", settings) as recorder:
            recorder.tells("watch.started")

            def put(resource: str, document: object) -> int:
                revision = client.put(f"/apisix/{resource}", json.dumps(document))
                recorder.stores(revision)
                return revision

            for resource, document in _SHOP.items():
                good = put(resource, document)
            for resource, document in _BAD:
                put(resource, document)

            def told(*words: str) -> str:
                answer = replicator("-c", settings, *words)
                said = (
                    answer.out.decode() + answer.err
                    if words[0] == "show"
                    else answer.err + answer.out.decode()
                )
                return f"```console\n$ replicator -c replicator.yaml {' '.join(words)}\n{said}```"

            answers = {
                "history": told("history"),
                "show": told("show", "routes/checkout", "--at", str(good)),
                "blame": told("blame", "routes/checkout"),
                "plan": told("rollback", "routes/checkout", "--to", str(good), "--dry-run"),
                "rollback": told("rollback", "routes/checkout", "--to", str(good), "--yes"),
            }
            recorder.stores(good + len(_BAD) + 1)
            answers |= {
                "check": told("diff", str(good), "live", "--only", "routes/checkout", "--exit-code"),
                "rest": told("diff", str(good), "live"),
                "after": told("history", "routes/checkout"),
            }
            assert recorder.stop() == 0
    return _with_own_times(_TEXT.format(**answers))


def _with_own_times(text: str) -> str:
    """Return *text* with times of the page's own for those of today, in the same order."""
    moments = sorted(set(_TIME.findall(text)))
    for moment, own in zip(moments, _own_times(), strict=False):
        text = text.replace(moment, own)
    return text


def _own_times() -> Iterator[str]:
    moment = _BEGAN
    while True:
        yield moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        moment += _EACH


if __name__ == "__main__":
    sys.stdout.write(page())
