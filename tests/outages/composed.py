"""compose/outage with what runs on this machine in the place of its containers."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from servers.etcd import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from servers.etcd import Etcd
    from servers.gateway import Gateway
    from servers.moto import S3Server

COMPOSED = ROOT / "compose/outage"

# What docker.sh calls, in the place of the container of an agent that has other settings.
_DOCKER = """\
#!/bin/sh
echo "$*" >>"${0%/*}/docker.calls"
while [ "$1" != agent ]; do shift; done
shift
exec "$@"
"""
_REPLICATOR = """\
#!/bin/sh
[ "$1 $2" = "-c /etc/replicator/agent.yaml" ] || exit 2
shift 2
exec "$OUTAGE_PYTHON" -m replicator -c "$OUTAGE_SETTINGS" "$@"
"""
_PYTHON = """\
#!/bin/sh
exec "$OUTAGE_PYTHON" "$@"
"""


def in_containers(folder: Path, settings: Path) -> dict[str, str]:
    """Make a `docker` in *folder* that has the agent's container here; return the variables that lead to it.

    Its agent has those *settings*; what `docker` was called with is in `bin/docker.calls`.
    """
    place = folder / "bin"
    place.mkdir()
    for name, text in (("docker", _DOCKER), ("replicator", _REPLICATOR), ("python", _PYTHON)):
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    return {
        "OUTAGE_PYTHON": sys.executable,
        "OUTAGE_SETTINGS": str(settings),
        "PATH": f"{place}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }


def composed(folder: Path, etcd: Etcd, gateway: Gateway, s3: S3Server) -> tuple[Path, Path]:
    """Write the files of compose/outage for what runs here in the place of its containers, and faster.

    The gateway has its config.yaml then; returned is what replicator and the agent are told. The buckets are
    still to be made.
    """
    here = {
        "http://etcd:2379": etcd.endpoint,
        "http://s3:8333": s3.endpoint,
        "node_listen: 9080": f"node_listen: {gateway.listen}",
        "port: 7085": f"port: {gateway.status}",
        "http://gateway:7085/status/ready": gateway.ready_url,
        '[reload.sh, /usr/local/apisix/conf, "20"]': json.dumps(gateway.reload_command),
        "[/usr/local/apisix/conf/": f"[{COMPOSED}/control-plane/",
        "/usr/local/apisix/conf": str(gateway.conf),
        "/var/lib/replicator/agent": f"{folder}/home",
        "/var/lib/replicator/spool": f"{folder}/spool",
        "_bucket: ": "_bucket: outage-",
        "_after: 5s": "_after: 1s",
        "hold_down: 5s": "hold_down: 500ms\n  probe_interval: 100ms",
    }
    told = {"agent.yaml": folder / "agent.yaml", "replicator.yaml": folder / "replicator.yaml"}
    for name, path in (told | {"gateway/config.yaml": gateway.conf / "config.yaml"}).items():
        text = (COMPOSED / name).read_text()
        for there, instead in here.items():
            text = text.replace(there, instead)
        path.write_text(text)
    return told["replicator.yaml"], told["agent.yaml"]
