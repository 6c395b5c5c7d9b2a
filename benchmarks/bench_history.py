"""Asking a long history: what happened to one resource, and what differs across a month."""

from __future__ import annotations

import shutil
from datetime import timedelta
from functools import partial
from itertools import cycle, islice
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.history import BEGUN_AT, History
from benchmarks.processes import REPLICATOR, spend
from benchmarks.report import Figure
from benchmarks.rounds import alternate, ratio
from benchmarks.shop import Shop
from replicator.adapters.directory import DirectoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.ground import Ground
    from benchmarks.processes import Spent
    from benchmarks.report import Finding

_MONTH = timedelta(days=30)
_SEGMENT_EVENTS = 500
_POOL = 50_000
_HISTORY_S = 2.0
_DIFF_S = 3.0


def measure(ground: Ground) -> Iterator[Finding]:
    """Yield both as whole processes, against the time that somebody is willing to wait."""
    scale, archive = ground.scale, ground.folder / "archive"
    resource = _write(archive, scale.few_routes, scale.events)
    moments = [(BEGUN_AT + part * _MONTH).isoformat() for part in (0.02, 0.98)]
    contenders = {
        "history": partial(_called, archive, "history", resource),
        "diff": partial(_called, archive, "diff", *moments),
    }
    if shutil.which("zstdcat"):
        contenders["grep"] = partial(_grepped, archive, resource)
    took = {
        name: [one.wall_s for one in rounds] for name, rounds in alternate(contenders, scale.rounds).items()
    }
    if "grep" in took:
        yield Figure(
            what="history of one resource, the same",
            against="zstdcat + grep over the log: times as long",
            ratio=ratio(took["history"], took["grep"]),
            target=1.0,
            measured=f"{median(took['history']):.2f} s; zstdcat + grep {median(took['grep']):.2f} s",
        )
    events = f"{scale.events:,} changes of {scale.few_routes:,} routes in 30 days"
    for name, words, budget_s in (
        ("history", f"history of one resource, {events}", _HISTORY_S),
        ("diff", f"diff of two moments a month apart, {events}", _DIFF_S),
    ):
        seconds = median(took[name])
        yield Figure(
            what=words,
            against=f"{budget_s:g} s",
            ratio=seconds / budget_s,
            target=1.0,
            measured=f"{seconds:.2f} s",
        )


def _write(archive: Path, routes: int, events: int) -> str:
    """Write a month of so many *events*; return a resource that changed often, as it is called."""
    shop = Shop(routes)
    history = History(DirectoryStore(archive), shop.items(), schedule="@every 1h")
    pool = list(islice(shop.changes(), _POOL))
    changes, each = cycle(pool), _MONTH / events
    for begin in range(0, events, _SEGMENT_EVENTS):
        history.record(islice(changes, min(_SEGMENT_EVENTS, events - begin)), each)
    history.tidy()
    history.close()
    return pool[0][0].decode().removeprefix("/apisix/")


def _called(archive: Path, *words: str) -> Spent:
    return spend((*REPLICATOR, *words, "--archive", f"file://{archive}"))


def _grepped(archive: Path, resource: str) -> Spent:
    """Look for the key alone: no old values, no times, no proof of any byte."""
    log = " ".join(f"{archive}/e00000001/{folder}/*" for folder in ("merged", "log"))
    return spend(("sh", "-c", f'zstdcat {log} | grep -F \'"key":"/apisix/{resource}"\' > /dev/null'))
