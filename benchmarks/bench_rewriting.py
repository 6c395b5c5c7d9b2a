"""Disaster recovery of the control plane: a whole state out of an archive into an empty etcd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.history import History
from benchmarks.processes import REPLICATOR, spend
from benchmarks.report import Figure
from benchmarks.shop import Shop
from replicator.adapters.directory import DirectoryStore
from replicator.adapters.etcd_server import EtcdServer, find_etcd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.ground import Ground
    from benchmarks.report import Finding

_BUDGET_S = 60.0


def measure(ground: Ground) -> Iterator[Finding]:
    """Yield the whole process against the time that is set for it."""
    archive = ground.folder / "archive"
    history = History(DirectoryStore(archive), Shop(ground.scale.routes).items())
    keys = len(history.state)
    history.close()
    with EtcdServer(ground.folder / "etcd", find_etcd()) as etcd:
        words = ("restore", "--latest", "--archive", f"file://{archive}", "--yes")
        seconds = spend((*REPLICATOR, *words, "--to-etcd", etcd.endpoint)).wall_s
    yield Figure(
        what=f"restore --latest --to-etcd: {keys:,} keys into an empty etcd",
        against=f"{_BUDGET_S:g} s",
        ratio=seconds / _BUDGET_S,
        target=1.0,
        measured=f"{seconds:.1f} s",
    )
