"""Requests to the store and what S3 asks for them: counted for two minutes, reckoned up to a month.

What comes more seldom than each minute is counted apart, with the time reckoned: merging each ten minutes,
and a rehearsed restore each hour.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from threading import Event, Thread
from typing import TYPE_CHECKING

from servers.proxy import FaultProxy, faulty

from benchmarks.ground import in_bucket
from benchmarks.history import History
from benchmarks.load import change_each, fill
from benchmarks.prices import DUMP, LOADS, LOOK, MONTH_S, CountingStore, Requests, count
from benchmarks.processes import recording, running
from benchmarks.report import Curve, Fact, Figure
from benchmarks.rounds import FULL
from benchmarks.shop import Shop
from replicator.adapters.etcd_server import EtcdServer, find_etcd
from replicator.core.plan import Latest
from replicator.flows.housekeeping import HousekeepingRules
from replicator.flows.readback import Pace
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.ground import Ground
    from benchmarks.report import Finding

_ROUTES = 100
_IDLE_PRICE = 0.20

_RHYTHMS = {"1 change/min": (60.0, 43_200), "10 changes/s": (1.0, 7_200)}
"""How often a segment is stored, and for how long that is played, in seconds."""


@dataclass(frozen=True)
class _Site:
    """An etcd under a load, its archive in a bucket, and the proxies between that and each role."""

    proxies: dict[str, FaultProxy]

    def asked(self) -> dict[str, Requests]:
        """Return what each role has asked since `begin`."""
        return {role: count(list(proxy.seen)) for role, proxy in self.proxies.items()}

    def begin(self) -> None:
        """Forget what was asked until now."""
        for proxy in self.proxies.values():
            proxy.follow(())


def measure(ground: Ground) -> Iterator[Finding]:
    """Yield the price of each role under each load; a standby's with what the writer does for it."""
    window_s = ground.scale.window_s
    with ExitStack() as stack:
        sites = {load: _site(ground, stack, load, ("writer", "follower")) for load in LOADS}
        shared = _site(ground, stack, "idle", ("writer", "standby"))
        for site in (*sites.values(), shared):
            site.begin()
        time.sleep(window_s)
        asked = {load: site.asked() for load, site in sites.items()}
        together = shared.asked()
    month = MONTH_S / window_s
    seldom = {load: _seldom(ground, load) for load in LOADS}
    writers = {load: asked[load]["writer"] * month + seldom[load] for load in LOADS}
    followers = {load: asked[load]["follower"] * month for load in LOADS}
    standby = (together["standby"] + together["writer"] - asked["idle"]["writer"]) * month
    yield from _figures(writers, followers, standby)


def _figures(
    writers: dict[str, Requests], followers: dict[str, Requests], standby: Requests
) -> Iterator[Finding]:
    yield Figure(
        what="requests of a month, writer, idle",
        against=f"${_IDLE_PRICE:.2f}",
        ratio=writers["idle"].price / _IDLE_PRICE,
        target=1.0,
        measured=str(writers["idle"]),
    )
    dump, look = f"API7's dump once a minute, ${DUMP.price:.2f}", f"an API7 gateway's look, ${LOOK.price:.2f}"
    for load, requests in writers.items():
        yield _figure(f"writer, {load}", requests, dump, DUMP)
        yield Fact(name=f"writer_dollars_a_month {load}", value=requests.price)
    yield _figure("standby, and what the writer does for it", standby, dump, DUMP)
    yield Fact(name="standby_dollars_a_month", value=standby.price)
    for load, requests in followers.items():
        yield _figure(f"follower, {load}", requests, look, LOOK)
        yield Fact(name=f"follower_dollars_a_month {load}", value=requests.price)
    for role, roles in (("writer", writers), ("follower", followers)):
        points = tuple((float(place), requests.price) for place, requests in enumerate(roles.values()))
        yield Curve(plot="price", label=role, points=points)
    yield Curve(plot="price", label="standby", points=((0.0, standby.price),))


def _figure(role: str, requests: Requests, against: str, other: Requests) -> Figure:
    return Figure(
        what=f"requests of a month, {role}",
        against=against,
        ratio=requests.price / other.price,
        measured=str(requests),
    )


def _site(ground: Ground, stack: ExitStack, load: str, roles: tuple[str, ...]) -> _Site:
    """Start an etcd, what changes it, and *roles*, of which the first is the writer."""
    folder = ground.folder / "-".join((*roles, load.replace("/", " a ")))
    service = ground.service("moto")
    archive = f"s3://{service.make_bucket()}/archive"
    etcd = stack.enter_context(EtcdServer(folder / "etcd", find_etcd(), ("--unsafe-no-fsync",)))
    fill(etcd.endpoint, Shop(_ROUTES).items())
    proxies = {role: stack.enter_context(faulty(service.endpoint)) for role in roles}
    places = {role: in_bucket(archive, proxy.endpoint, service) for role, proxy in proxies.items()}
    stack.enter_context(recording(etcd.endpoint, places["writer"], folder / "writer.log"))
    for role in roles[1:]:
        settings = {"ETCD_ENDPOINTS": etcd.endpoint, **places[role].settings}
        stack.enter_context(_other(role, settings, folder))
    stack.enter_context(_changing(etcd.endpoint, LOADS[load]))
    return _Site(proxies)


@contextmanager
def _other(role: str, settings: dict[str, str], folder: Path) -> Iterator[None]:
    """Run a follower until it has written its file, or a standby; and on until the block ends."""
    log, file = folder / f"{role}.log", folder / "apisix.yaml"
    if role == "standby":
        with running(settings, log, "run") as standby:
            standby.until(lambda: standby.events("standby.waiting"))
            yield
        return
    own = {"AGENT_HOME": str(folder / "home"), "AGENT_RESOURCE_FILE": str(file)}
    with running(settings | own, log, "agent", "run") as agent:
        agent.until(file.exists)
        yield


@contextmanager
def _changing(endpoint: str, each_s: float | None) -> Iterator[None]:
    """Change something *each_s* seconds until the block ends; never, if that is None."""
    if each_s is None:
        yield
        return
    ending = Event()
    arguments = (endpoint, Shop(_ROUTES, seed=2).changes(), each_s, ending)
    thread = Thread(target=change_each, args=arguments, name="changes")
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def _seldom(ground: Ground, load: str) -> Requests:
    """Return what a writer asks in a month for merging and rehearsals."""
    shop, store = Shop(_ROUTES), CountingStore(ground.folder / f"seldom-{load.replace('/', ' a ')}")
    rules = HousekeepingRules()
    history, changes = History(store, shop.items(), merging=rules.merge), shop.changes()
    merging, rhythm = Requests(), _RHYTHMS.get(load)
    if rhythm is not None:
        each_s, long_s = rhythm
        long_s = min(long_s, ground.scale.window_s * long_s // FULL.window_s)
        for number in range(1, int(long_s / each_s) + 1):
            history.record(islice(changes, 1), timedelta(seconds=each_s))
            if number * each_s % rules.merge_each.total_seconds() == 0:
                before = store.asked
                history.tidy()
                merging += store.asked - before
        merging *= MONTH_S / long_s
    before = store.asked
    restore(store, Latest())
    return merging + (store.asked - before) * (MONTH_S / Pace().drill_s)
