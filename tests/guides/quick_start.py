"""Makes docs/guides/quick-start.md by doing what it tells, with a real etcd and a real recorder.

From the project's root:

    PYTHONPATH=tests .venv/bin/python -m guides.quick_start > docs/guides/quick-start.md
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

import yaml
from guides.telling import told, with_own_times
from servers.command import running, until
from servers.etcd import Etcd
from servers.etcd_json import EtcdJson

from replicator.adapters.etcd_server import find_etcd

_SETTINGS = """\
etcd:
  endpoints: [http://127.0.0.1:2379]
  prefix: /apisix
archive: file:///var/lib/replicator/archive
metrics:
  listen: 127.0.0.1:9465
"""

_TEXT = """# Quick start: recorded, watched, and a drill behind you

In a quarter of an hour: from nothing to a replicator that records a gateway, is watched, and has proved
that it can give back what it recorded. You need a machine with Python 3.11 or later that reaches the
gateway's etcd, and permission to read the prefix there. Made by `tests/guides/quick_start.py`, which does
all of this with a real etcd; a test holds this page to what it gives. (Times, names and ports are the
page's own.)

## 1. Install

<!-- not run: it would install the package into the system -->

```sh
pipx install .            # from a checkout of this project
```

## 2. Say what is to be recorded, and where to

`replicator.yaml`:

```yaml
{settings}```

For a bucket it is `archive: s3://bucket/path`, with the AWS chain's credentials. [All
settings](../configuration.md).

## 3. Is everything in reach?

{check}

`check` reads etcd, and writes, swaps, reads and deletes an object in the store. What fails says why, and
what to do.

## 4. Record

<!-- not run: it records until it is stopped -->

```sh
replicator -c replicator.yaml run
```

Let it run: by systemd with [`replicator.service`](../../deploy/systemd/replicator.service), in
[Kubernetes](kubernetes.md), or with [compose](../../compose/README.md). From another terminal:

{status}

Now somebody creates a route, and changes it. Both are there:

{history}

## 5. Restore

Any moment, as the file that a data plane reads without etcd; here what was before the change:

{restore}

{file}

{differs}

## 6. Rehearse it

`verify --full` reads all of the archive and proves it; `--live` compares it with etcd, key by key;
`--drill` restores some moment into a scratch folder and checks the file. `run` does a light form of this by
itself, each hour.

{verify}

## 7. Be told

Prometheus finds the metrics at `metrics.listen`; the alert that counts most asks how old the last moment is
that was stored **and read back**:

{metrics}

Load [the alert rules](../../deploy/monitoring/alerts.yaml), each with its entry in [the
runbook](../runbook.md), and the [dashboard](../../deploy/monitoring/dashboard.json). For Nagios or Icinga:

{nagios}

## 8. The drill

Put this into your calendar, once a quarter: on a machine that has **neither etcd nor this replicator**,
with the archive and the gateway's keyring alone,

<!-- not run: it needs your bucket -->

```sh
replicator list --archive s3://bucket/path
replicator restore --latest --archive s3://bucket/path --keyring config.yaml -o apisix.yaml
```

and start a data plane on the file. Then you know. [Undo a mistake](undo-a-mistake.md) is the drill for a
bad night with etcd alive, [the agent](../agent.md) keeps gateways serving when it isn't.
"""


# What stands for a moment that is another one each time.
_KNOWN, _DRILLED = "@known@", "@drilled@"


def page() -> str:
    """Return the guide, with what the commands say now."""
    with TemporaryDirectory() as folder, Etcd(Path(folder) / "etcd", find_etcd()) as etcd:
        settings = Path(folder) / "replicator.yaml"
        content = yaml.safe_load(_SETTINGS)
        content["etcd"]["endpoints"] = [etcd.endpoint]
        content["archive"] = f"file://{folder}/archive"
        content["metrics"]["listen"] = "127.0.0.1:0"
        settings.write_text(json.dumps(content))
        with EtcdJson(etcd.endpoint) as client:
            client.put("/apisix/upstreams/1", json.dumps({"type": "roundrobin", "nodes": {"10.0.0.1:80": 1}}))
            answers = {"check": told(settings, "check")}
            with running(Path(folder) / "log", "-c", settings) as recorder:
                recorder.tells("watch.started")
                answers["status"] = told(settings, "status")
                first = client.put("/apisix/routes/1", '{"uri":"/a","upstream_id":"1"}')
                recorder.stores(first)
                last = client.put("/apisix/routes/1", '{"uri":"/b","upstream_id":"1"}')
                recorder.stores(last)
                address = recorder.events("metrics.served")[0]["address"]
                until(lambda: f" {last}.0\n" in _metrics(address), "all was read back")
                answers |= {
                    "history": told(settings, "history", "routes"),
                    "restore": told(settings, "restore", "--revision", str(first), "-o", "apisix.yaml"),
                    "file": f"```yaml\n{(Path(folder) / 'apisix.yaml').read_text()}```",
                    "differs": told(settings, "diff", str(first), "live"),
                    "verify": told(settings, "verify", "--full", "--live", "--drill", "--seed", "1"),
                    "metrics": "```console\n"
                    f"$ curl -s http://{address}/metrics | grep restorable\n{_metrics(address)}```",
                    "nagios": told(settings, "check", "--nagios"),
                }
                assert recorder.stop() == 0
        text = _TEXT.format(settings=_SETTINGS, **answers)
        text = text.replace(etcd.endpoint, "http://127.0.0.1:2379").replace(address, "127.0.0.1:9465")
        text = text.replace(f"{folder}/archive", "/var/lib/replicator/archive")
    text = with_own_times(_with_own_names(text))
    return text.replace(_KNOWN, "2026-11-23T02:40:02.000000Z").replace(
        _DRILLED, "2026-11-23T02:46:00.000000Z"
    )


def _metrics(address: str) -> str:
    with urlopen(f"http://{address}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines(keepends=True)
    return "".join(line for line in lines if "restorable" in line and not line.startswith("#"))


def _with_own_names(text: str) -> str:
    """Return *text* with the page's own for what is another one each time: names, durations, numbers."""
    for pattern, own in (
        (r"\b[0-9a-f]{32}\b", "3f0c8d1e5b7a4c2d9e6f1a0b2c3d4e5f"),
        (r"\b[0-9a-f]{64}\b", "c0ffee" * 10 + "c0ff"),
        (r"cluster [0-9a-f]{8,16}", "cluster cdf818194e3a8c32"),
        (r"time=[\d.]+s", "time=0.412s"),
        (r"watermark  \S+, \S+ ago", f"watermark  {_KNOWN}, 264ms ago"),
        (r"--at \S+Z \(seed 1\)", f"--at {_DRILLED} (seed 1)"),
        (
            r"revision \d, 1 upstreams(?:, 1 routes)?, \S+, in \S+",
            "revision 3, 1 upstreams, 1 routes, 340B, in 10ms",
        ),
        (r"objects, \S+, in \S+", "objects, 2.2KiB, in 3ms"),
        (r"(restorable_time_seconds\{[^}]*\}) \S+", r"\1 1.763865855e+09"),
    ):
        text = re.sub(pattern, own, text)
    return text


if __name__ == "__main__":
    sys.stdout.write(page())
