"""Peak memory of `run` and `restore` at 100,000 keys: against the bytes of their keys and values."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.load import edit, fill
from benchmarks.processes import REPLICATOR, peak_bytes, recording, spend
from benchmarks.report import Figure
from benchmarks.shop import Shop
from replicator.adapters.etcd_server import EtcdServer, find_etcd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.processes import Recorder
    from benchmarks.rounds import Scale

_KEYS_A_ROUTE = 1.25
_RATE = 1_000
_EDIT_S = 5
_TARGET = 3.0


def measure(scale: Scale, folder: Path) -> Iterator[Figure]:
    """Yield both commands with a shop's values, then with values of 300 B, where our own bytes weigh most."""
    keys = scale.routes
    yield from _measure(Shop(round(keys / _KEYS_A_ROUTE)), "values as in a shop", folder / "shop", _TARGET)
    yield from _measure(Shop(keys, small=True), "values of 300 B", folder / "small", None)


def _measure(shop: Shop, what: str, folder: Path, target: float | None) -> Iterator[Figure]:
    archive = folder / "archive"
    items = list(shop.items())
    with EtcdServer(folder / "etcd", find_etcd(), ("--unsafe-no-fsync",)) as etcd:
        size_bytes = fill(etcd.endpoint, items)
        with recording(etcd.endpoint, archive, SNAPSHOT_CRON_SPEC="@every 5s") as recorder:
            last = edit(etcd.endpoint, shop.changes(), _RATE, _EDIT_S)[-1].revision
            recorder.until(partial(_has_snapshot, recorder, last))
            peak = peak_bytes(recorder.pid)
    yield _figure(f"peak of run, {len(items):,} keys, {what}", peak, size_bytes, target)
    for style in ("flow", "block"):
        command = (*REPLICATOR, "restore", "--latest", "--archive", f"file://{archive}", "--style", style)
        peak = spend((*command, "-o", str(folder / "restored"))).peak_bytes
        yield _figure(f"peak of restore, {style} YAML", peak, size_bytes, None)


def _has_snapshot(recorder: Recorder, revision: int) -> bool:
    names = [event["object"] for event in recorder.events("snapshot.stored")]
    return any(f"/{revision:020d}@" in name for name in names)


def _figure(what: str, peak: int, size_bytes: int, target: float | None) -> Figure:
    return Figure(
        what=what,
        against="bytes of keys and values",
        ratio=peak / size_bytes,
        target=target,
        measured=f"{peak / 1e6:.0f} MB for {size_bytes / 1e6:.0f} MB",
    )
