"""Makes docs/guides/undo-a-mistake.md by doing what it tells, with a real etcd and a real recorder.

From the project's root:

    PYTHONPATH=tests .venv/bin/python -m guides.undo_a_mistake > docs/guides/undo-a-mistake.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from guides.telling import told, with_own_times
from servers.command import running
from servers.etcd import Etcd
from servers.etcd_json import EtcdJson

from replicator.adapters.etcd_server import find_etcd

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

            answers = {
                "history": told(settings, "history"),
                "show": told(settings, "show", "routes/checkout", "--at", str(good), answer_first=True),
                "blame": told(settings, "blame", "routes/checkout"),
                "plan": told(settings, "rollback", "routes/checkout", "--to", str(good), "--dry-run"),
                "rollback": told(settings, "rollback", "routes/checkout", "--to", str(good), "--yes"),
            }
            recorder.stores(good + len(_BAD) + 1)
            answers |= {
                "check": told(
                    settings, "diff", str(good), "live", "--only", "routes/checkout", "--exit-code"
                ),
                "rest": told(settings, "diff", str(good), "live"),
                "after": told(settings, "history", "routes/checkout"),
            }
            assert recorder.stop() == 0
    return with_own_times(_TEXT.format(**answers))


if __name__ == "__main__":
    sys.stdout.write(page())
