"""From nothing to the first durable snapshot of a large etcd: against reading its keys alone."""

from __future__ import annotations

import sys
from functools import partial
from itertools import count
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.load import fill
from benchmarks.processes import recording, spend
from benchmarks.report import Fact, Figure
from benchmarks.rounds import alternate, ratio
from benchmarks.shop import KEYS_A_ROUTE, Shop
from replicator.adapters.etcd_server import EtcdServer, find_etcd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.ground import Ground
    from benchmarks.report import Finding

_TARGET = 2.0


def measure(ground: Ground) -> Iterator[Finding]:
    """Yield the time from the start of the process until an epoch is open."""
    items = list(Shop(round(ground.scale.routes / KEYS_A_ROUTE)).items())
    numbers = count()
    with EtcdServer(ground.folder / "etcd", find_etcd(), ("--unsafe-no-fsync",)) as etcd:
        fill(etcd.endpoint, items)
        contenders = {
            "ours": lambda: _ours(ground, etcd.endpoint, next(numbers)),
            "pages": partial(_pages, etcd.endpoint),
        }
        took = alternate(contenders, ground.scale.rounds)
    yield Figure(
        what=f"bootstrap of {len(items):,} keys until the first snapshot is durable",
        against="reading them page by page alone",
        ratio=ratio(took["ours"], took["pages"]),
        target=_TARGET,
        measured=f"{median(took['ours']):.2f} s; the pages {median(took['pages']):.2f} s",
    )
    yield Fact(name="bootstrap_keys_per_s", value=len(items) / median(took["ours"]))


def _ours(ground: Ground, endpoint: str, number: int) -> float:
    with recording(endpoint, ground.place(f"archive-{number}"), ground.folder / "run.log") as recorder:
        return recorder.at("epoch.opened") - recorder.started_at


def _pages(endpoint: str) -> float:
    return spend((sys.executable, "-m", "benchmarks.pages", endpoint)).wall_s
