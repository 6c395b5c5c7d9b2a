"""Restoring a large gateway: against reading, decompressing and JSON-decoding the same bytes."""

from __future__ import annotations

import gc
import random
import sys
import time
from collections import deque
from datetime import timedelta
from functools import partial
from itertools import cycle, islice
from statistics import median
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from benchmarks.history import History
from benchmarks.processes import REPLICATOR, spend
from benchmarks.report import Fact, Figure
from benchmarks.rounds import alternate, ratio
from benchmarks.shop import Shop
from replicator.adapters.directory import DirectoryStore
from replicator.apisix import Options
from replicator.cli.restored import standalone_file
from replicator.core.plan import AtRevision, Latest
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.ground import Ground
    from benchmarks.processes import Spent
    from benchmarks.report import Finding
    from replicator.core.plan import Target
    from replicator.core.state import State

_TARGET = 2.0
_BLOCK_TARGET = 5.0
_SEGMENT_EVENTS = 1_000
_EACH = timedelta(milliseconds=1)
_POOL = 50_000
_FORMS = {"JSON": ("--format", "json"), "key/values": ("--format", "kv")}
_FLOOR = "read, decompress, decode (msgspec)"


def measure(ground: Ground) -> Iterator[Finding]:
    """Yield whole processes first, then the block style against another dumper, inside one."""
    scale, archive = ground.scale, ground.folder / "archive"
    last = _write_history(archive, scale.routes, scale.events)
    yield from _latest(ground, archive)
    yield _at_moments(ground, archive, last)
    few = ground.folder / "few"
    _write_history(few, scale.few_routes, 0)
    yield _block(few, scale.few_routes, min(2, scale.rounds))


def _write_history(archive: Path, routes: int, events: int) -> int:
    """Write a shop's history of so many *events*; return its last revision."""
    shop = Shop(routes)
    history = History(DirectoryStore(archive), shop.items())
    changes = cycle(islice(shop.changes(), _POOL))
    for begin in range(0, events, _SEGMENT_EVENTS):
        history.record(islice(changes, min(_SEGMENT_EVENTS, events - begin)), _EACH)
    history.tidy()
    history.close()
    return history.state.revision


def _latest(ground: Ground, archive: Path) -> Iterator[Finding]:
    routes, objects = f"{ground.scale.routes:,} routes", _objects(archive, Latest())
    contenders = {
        "flow YAML": partial(_restored, ground.folder, archive, "--latest"),
        **{
            form: partial(_restored, ground.folder, archive, "--latest", *how) for form, how in _FORMS.items()
        },
        **{library: partial(_floor, library, objects) for library in ("msgspec", "json")},
    }
    spent = alternate(contenders, ground.scale.rounds)
    events = f"the latest of {ground.scale.events:,} changes"
    for form in ("flow YAML", *_FORMS):
        target = _TARGET if form == "flow YAML" else None
        yield _figure(f"restore {routes}, {events}, as {form}", spent[form], spent["msgspec"], target)
    yield Figure(
        what=f"restore {routes}, {events}, as flow YAML",
        against="the same with json of the standard library",
        ratio=ratio(_walls(spent["flow YAML"]), _walls(spent["json"])),
        measured=f"{_words(spent['flow YAML'])}; floor {_words(spent['json'])}",
    )
    keys_per_s = len(_state(archive)) / median(_walls(spent["flow YAML"]))
    yield Fact(name="restore_keys_per_s", value=keys_per_s)


def _at_moments(ground: Ground, archive: Path, last: int) -> Figure:
    """Restore another moment in each round, drawn from a seed, and the floor the same."""
    dice, rounds = random.Random(5), ground.scale.rounds
    moments = [dice.randrange(last - ground.scale.events, last + 1) for _ in range(rounds)]
    ours, floors = iter(moments), iter([_objects(archive, AtRevision(moment)) for moment in moments])
    contenders = {
        "ours": lambda: _restored(ground.folder, archive, "--revision", str(next(ours))),
        "floor": lambda: _floor("msgspec", next(floors)),
    }
    spent = alternate(contenders, rounds)
    what = f"restore {ground.scale.routes:,} routes, any of {ground.scale.events:,} moments, as flow YAML"
    return _figure(what, spent["ours"], spent["floor"], _TARGET)


def _restored(folder: Path, archive: Path, *target: str) -> Spent:
    call = (*REPLICATOR, "restore", "--archive", f"file://{archive}", "-o", str(folder / "restored"))
    return spend((*call, *target))


def _objects(archive: Path, target: Target) -> list[str]:
    """Return the files that a restore of *target* reads, the small documents aside."""
    store = _Noting(archive)
    restore(store, target)
    return [str(archive / name) for name in store.asked if name.endswith(".zst")]


def _floor(library: str, objects: list[str]) -> Spent:
    return spend((sys.executable, "-m", "benchmarks.decode", library, *objects))


class _Noting(DirectoryStore):
    """A store that notes what it was asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[str] = []

    def get(self, name: str) -> bytes:
        """Return the object, and note its name."""
        body = super().get(name)
        self.asked.append(name)
        return body


def _block(archive: Path, routes: int, rounds: int) -> Figure:
    """Compare all that we do with what a dumper alone does, given what it is to dump."""
    document = _document(_state(archive))
    contenders = {
        "ours": partial(_timed, partial(_as_block, archive)),
        "dumper": partial(_timed, partial(_dump, document)),
    }
    took = alternate(contenders, rounds)
    return Figure(
        what=f"restore {routes:,} routes as block YAML, without the process and the file",
        against="PyYAML's C dumper alone: times as fast",
        ratio=ratio(took["dumper"], took["ours"]),
        target=_BLOCK_TARGET,
        is_least=True,
        measured=f"{median(took['ours']):.2f} s; the dumper {median(took['dumper']):.2f} s",
    )


def _state(archive: Path) -> State:
    return restore(DirectoryStore(archive), Latest()).state


def _document(state: State) -> dict[str, list[Any]]:
    document: dict[str, list[Any]] = {}
    for key, record in state.items():
        document.setdefault(key.decode().split("/")[2], []).append(msgspec.json.decode(record.value))
    return document


def _as_block(archive: Path) -> None:
    restored = restore(DirectoryStore(archive), Latest())
    deque(standalone_file(restored, Options(prefix=b"/apisix"), "yaml", "block").chunks, maxlen=0)


def _dump(document: dict[str, list[Any]]) -> None:
    yaml.dump(document, Dumper=yaml.CSafeDumper, default_flow_style=False, allow_unicode=True)


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _figure(what: str, ours: list[Spent], floor: list[Spent], target: float | None) -> Figure:
    return Figure(
        what=what,
        against=_FLOOR,
        ratio=ratio(_walls(ours), _walls(floor)),
        target=target,
        measured=f"{_words(ours)}; floor {_words(floor)}",
    )


def _walls(spent: list[Spent]) -> list[float]:
    return [one.wall_s for one in spent]


def _words(spent: list[Spent]) -> str:
    return f"{median(_walls(spent)):.2f} s ({median(one.cpu_s for one in spent):.2f} s of a core)"
