"""Peak memory of `run` and `restore` at 100,000 keys: against the bytes of their keys and values."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.ground import Place
from benchmarks.load import edit, fill
from benchmarks.processes import REPLICATOR, peak_bytes, recording, spend
from benchmarks.report import Fact, Figure
from benchmarks.shop import KEYS_A_ROUTE, Shop
from replicator.adapters.etcd_server import EtcdServer, find_etcd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.ground import Ground
    from benchmarks.processes import Recorder
    from benchmarks.report import Finding

_RATE = 1_000
_LONGEST_EDIT_S = 5
_TARGET = 2.5


def measure(ground: Ground) -> Iterator[Finding]:
    """Yield both commands with a shop's values, then with values of 300 B, where our own bytes weigh most."""
    yield Fact(name="run_base_bytes", value=_base_bytes(ground.folder))
    keys, edit_s = ground.scale.routes, min(_LONGEST_EDIT_S, ground.scale.load_s)
    yield from _measure(
        Shop(round(keys / KEYS_A_ROUTE)), "values as in a shop", ground.folder / "shop", _TARGET, edit_s
    )
    yield from _measure(Shop(keys, small=True), "values of 300 B", ground.folder / "small", None, edit_s)


def _base_bytes(folder: Path) -> int:
    """Return what `run` takes for a single key."""
    with EtcdServer(folder / "etcd", find_etcd(), ("--unsafe-no-fsync",)) as etcd:
        fill(etcd.endpoint, Shop(1, small=True).items())
        place = Place({"ARCHIVE": f"file://{folder}/archive"})
        with recording(etcd.endpoint, place, folder / "base.log") as recorder:
            return peak_bytes(recorder.pid)


def _measure(shop: Shop, what: str, folder: Path, target: float | None, edit_s: int) -> Iterator[Finding]:
    place = Place({"ARCHIVE": f"file://{folder}/archive"})
    items = list(shop.items())
    with EtcdServer(folder / "etcd", find_etcd(), ("--unsafe-no-fsync",)) as etcd:
        size_bytes = fill(etcd.endpoint, items)
        with recording(
            etcd.endpoint, place, folder / "run.log", SNAPSHOT_CRON_SPEC=f"@every {edit_s}s"
        ) as recorder:
            last = edit(etcd.endpoint, shop.changes(), _RATE, edit_s)[-1].revision
            recorder.until(partial(_has_snapshot, recorder, last))
            peak = peak_bytes(recorder.pid)
    yield _figure(f"peak of run, {len(items):,} keys, {what}", peak, size_bytes, target)
    if target is not None:
        yield Fact(name="run_peak_bytes_per_byte", value=peak / size_bytes)
        yield Fact(name="bytes_per_key", value=size_bytes / len(items))
    for style in ("flow", "block"):
        command = (*REPLICATOR, "restore", "--latest", "--style", style, "-o", str(folder / "restored"))
        peak = spend(command, place.settings).peak_bytes
        yield _figure(
            f"peak of restore, {style} YAML, {what}", peak, size_bytes, target if style == "flow" else None
        )


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
