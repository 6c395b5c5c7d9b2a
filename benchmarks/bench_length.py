"""Restore time as a history grows, at the same state and the same tail behind the newest snapshot."""

from __future__ import annotations

import gc
import time
from datetime import timedelta
from functools import partial
from itertools import cycle, islice
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.history import History
from benchmarks.report import Curve, Figure
from benchmarks.rounds import alternate, ratio
from benchmarks.shop import Shop
from replicator.adapters.directory import DirectoryStore
from replicator.core.plan import AtRevision
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.ground import Ground
    from benchmarks.report import Finding

_ROUTES = 2_000
_SEGMENT_EVENTS = 500
_TARGET = 1.3
_ROUNDS_MORE = 5
_POOL = 20_000


def measure(ground: Ground) -> Iterator[Finding]:
    """Yield each length against the shortest."""
    lengths = ground.scale.lengths
    contenders = {
        length: partial(_timed, *_written(ground.folder / str(length), length)) for length in lengths
    }
    took = alternate(contenders, _ROUNDS_MORE * ground.scale.rounds)
    shortest = lengths[0]
    for length in lengths[1:]:
        yield Figure(
            what=f"restore time after {length:,} changes, the same state and tail",
            against=f"after {shortest:,} changes",
            ratio=ratio(took[length], took[shortest]),
            target=_TARGET,
            measured=f"{1000 * median(took[length]):.0f} ms; {1000 * median(took[shortest]):.0f} ms",
        )
    points = tuple((float(length), 1000 * median(took[length])) for length in lengths)
    yield Curve(plot="length", label=f"{_ROUTES:,} routes", points=points)


def _written(archive: Path, length: int) -> tuple[Path, int]:
    """Write a history of so many changes; return where, and a revision one segment behind a snapshot."""
    shop = Shop(_ROUTES, small=True)
    history = History(DirectoryStore(archive), shop.items())
    changes = cycle(islice(shop.changes(), _POOL))
    recorded, size = 0, min(_SEGMENT_EVENTS, length)
    while recorded < length or history.state.revision < history.snapshot_revision + size:
        history.record(islice(changes, size), timedelta(milliseconds=1))
        recorded += size
    history.tidy()
    history.close()
    return archive, history.snapshot_revision + size


def _timed(archive: Path, revision: int) -> float:
    gc.collect()
    started = time.perf_counter()
    restore(DirectoryStore(archive), AtRevision(revision))
    return time.perf_counter() - started
