"""Keeping a gateway's file fresh: what one change costs a follower, against a restore of all."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING

import structlog

from benchmarks.history import History
from benchmarks.processes import REPLICATOR, spend
from benchmarks.report import Fact, Figure
from benchmarks.rounds import alternate, ratio
from benchmarks.shop import Shop
from replicator.adapters.agent_home import AgentHome
from replicator.adapters.clock import SystemClock
from replicator.adapters.gateway import ResourceFile
from replicator.adapters.output_file import write_file
from replicator.apisix import Options
from replicator.cli.restored import standalone_file
from replicator.core.plan import Latest
from replicator.core.wipe_guard import WipeRule
from replicator.flows.copy import Copy, CopyRules
from replicator.flows.restore import restore
from replicator.flows.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.ground import Ground, Place
    from benchmarks.report import Finding

_TARGET = 20.0
_ROUNDS_MORE = 3
_EACH = timedelta(milliseconds=1)


def measure(ground: Ground) -> Iterator[Finding]:
    """Yield the processor time of a step against a restore within a process, and as one."""
    routes = ground.scale.few_routes
    shop, place = Shop(routes), ground.place("archive")
    history, changes = History(place.store, shop.items()), shop.changes()
    copy = _copy(place, ground.folder)
    copy.step()

    def follow() -> float:
        history.record(islice(changes, 1), _EACH)
        return _cpu_s(copy.step)

    contenders = {
        "follower": follow,
        "restore": partial(_cpu_s, partial(_restore, place, ground.folder / "restored.yaml")),
        "process": partial(_process, place, ground.folder / "restored.yaml"),
    }
    cpu_s = alternate(contenders, _ROUNDS_MORE * ground.scale.rounds)
    if copy.told.failure or copy.told.written is None or copy.told.written.revision != history.state.revision:
        raise RuntimeError(f"the follower doesn't follow: {copy.told}")
    for name, against in (("restore", "a full restore to the file"), ("process", "`replicator restore`")):
        yield Figure(
            what=f"a follower's processor time, change to new apisix.yaml, {routes:,} routes",
            against=f"{against}: times less",
            ratio=ratio(cpu_s[name], cpu_s["follower"]),
            target=_TARGET if name == "restore" else None,
            is_least=True,
            measured=f"{1000 * median(cpu_s['follower']):.0f} ms; {1000 * median(cpu_s[name]):.0f} ms",
        )
    yield Fact(name="follower_cpu_us_per_change_and_route", value=1e6 * median(cpu_s["follower"]) / routes)


def _copy(place: Place, folder: Path) -> Copy:
    rules = CopyRules(
        options=lambda: Options(prefix=b"/apisix"),
        prefix="/apisix",
        form="yaml",
        guard=WipeRule(0.5, timedelta(minutes=10)),
    )
    log = structlog.wrap_logger(structlog.testing.CapturingLogger(), processors=[])
    clock, target, home = SystemClock(), ResourceFile(folder / "apisix.yaml"), AgentHome(folder / "home")
    return Copy(Tail(place.store, clock), target, home, rules, clock, log)


def _restore(place: Place, path: Path) -> None:
    restored = restore(place.store, Latest())
    answer = standalone_file(restored, Options(prefix=b"/apisix"), "yaml", "flow")
    write_file(path, answer.chunks, SystemClock())


def _process(place: Place, path: Path) -> float:
    return spend((*REPLICATOR, "restore", "--latest", "-o", str(path)), place.settings).cpu_s


def _cpu_s(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
