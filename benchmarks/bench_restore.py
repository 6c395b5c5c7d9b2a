"""Restoring a large gateway: against reading, decompressing and JSON-decoding the same snapshot."""

from __future__ import annotations

import gc
import os
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.decode import decode
from benchmarks.load import fill
from benchmarks.processes import REPLICATOR, recording, spend
from benchmarks.report import Figure
from benchmarks.rounds import alternate, ratio
from benchmarks.shop import Shop
from replicator.adapters.directory import DirectoryStore
from replicator.adapters.etcd_server import EtcdServer, find_etcd
from replicator.apisix import Options
from replicator.cli.restored import standalone_file
from replicator.core.plan import Latest
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.processes import Spent
    from benchmarks.rounds import Scale

_TARGET = 3.0
_FORMS = {
    "flow YAML": ("--style", "flow"),
    "block YAML": ("--style", "block"),
    "JSON": ("--format", "json"),
    "key/values": ("--format", "kv"),
}
_FLOORS = {"msgspec": "read, decompress, decode (msgspec)", "json": "the same (json of the standard library)"}


def measure(scale: Scale, folder: Path) -> Iterator[Figure]:
    """Yield whole processes first, then the same work inside one."""
    archive = folder / "archive"
    _record(scale.routes, folder, archive)
    (snapshot,) = archive.glob("e*/snapshots/*")
    yield from _processes(scale, archive, snapshot)
    yield _inside(scale, archive, snapshot)


def _record(routes: int, folder: Path, archive: Path) -> None:
    with EtcdServer(folder / "etcd", find_etcd(), ("--unsafe-no-fsync",)) as etcd:
        fill(etcd.endpoint, Shop(routes).items())
        with recording(etcd.endpoint, archive):
            pass  # the base snapshot is what is wanted


def _processes(scale: Scale, archive: Path, snapshot: Path) -> Iterator[Figure]:
    call = (*REPLICATOR, "restore", "--latest", "--archive", f"file://{archive}", "-o")
    output = str(snapshot.parents[3] / "restored")
    contenders = {form: partial(spend, (*call, output, *options)) for form, options in _FORMS.items()} | {
        library: partial(spend, (sys.executable, "-m", "benchmarks.decode", str(snapshot), library))
        for library in _FLOORS
    }
    spent = alternate(contenders, scale.rounds)
    pairs = [(form, "msgspec") for form in _FORMS] + [("flow YAML", "json")]
    for form, library in pairs:
        yield Figure(
            what=f"restore {scale.routes:,} routes as {form}",
            against=_FLOORS[library],
            ratio=ratio(_walls(spent[form]), _walls(spent[library])),
            target=_TARGET if (form, library) == pairs[0] else None,
            measured=f"{_words(spent[form])}; floor {_words(spent[library])}",
        )


def _inside(scale: Scale, archive: Path, snapshot: Path) -> Figure:
    contenders = {
        "ours": partial(_timed, partial(_restore, archive)),
        "floor": partial(_timed, partial(decode, str(snapshot), "msgspec")),
    }
    took = alternate(contenders, scale.rounds)
    return Figure(
        what="the same as flow YAML, without the process and the file",
        against=_FLOORS["msgspec"],
        ratio=ratio(took["ours"], took["floor"]),
        measured=f"{median(took['ours']):.2f} s; floor {median(took['floor']):.2f} s",
    )


def _restore(archive: Path) -> None:
    answer = standalone_file(
        restore(DirectoryStore(archive), Latest()), Options(prefix=b"/apisix"), "yaml", "flow"
    )
    with Path(os.devnull).open("wb") as nowhere:
        nowhere.writelines(answer.chunks)


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _walls(spent: list[Spent]) -> list[float]:
    return [one.wall_s for one in spent]


def _words(spent: list[Spent]) -> str:
    return f"{median(_walls(spent)):.2f} s ({median(one.cpu_s for one in spent):.2f} s of a core)"
