"""A story of troubles around a gateway and its agent, each at its moment as a seed has it; all ends well.

What must hold, whatever happens: no request that the gateway's last good configuration serves fails; its
config.yaml is the original again in the end, byte for byte, and it follows etcd; and switches keep their
distance. What no agent can prevent isn't told: an etcd that goes away within the moment of a reload into it.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec
from faults.replica import Replica
from outages.scripted import Clients, Outage
from servers.command import running, until
from servers.etcd import Etcd
from servers.gateway import gateway_in

from replicator.flows.journal import JOURNAL, Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers.gateway import Knob

_HOLD_DOWN_S = 0.5
_WELL_S = 3.0  # so long the agent has seen etcd well, and may be believed to leave the gateway there
_HEARD_S = 0.1  # a line of the log may be read so much later than another
_PAUSE_S = 0.35  # on average, between two things that happen
_LAST_S = {"etcd": 4.0, "agent": 1.5, "archive": 4.0, "gateway": 3.0}  # on average
_KNOBS: tuple[Knob, ...] = ("reload-fails", "reload-hangs", "reload-is-lost", "never-ready")


class AgentReplica(Replica):
    """A `replicator agent` that can be hurt."""

    command = "agent"
    at_work = ("agent.started",)


@dataclass(frozen=True)
class Plan:
    """A story to be told.

    Attributes:
        seed: Decides all but the machine's own timing.
        seconds: For how long things happen.
        folder: For all files; what went wrong can be seen there.
        etcd_binary: The etcd to run.
    """

    seed: int
    seconds: float
    folder: Path
    etcd_binary: Path


@dataclass
class Outcome:
    """How it went.

    Attributes:
        troubles: What happened, and how often.
        switches: How often the gateway was turned, to which mode.
        undone: How many switches were undone.
        asked: How many requests were answered as they had to be.
        failures: Those that weren't.
        wrong: What else went wrong, in words.
    """

    troubles: Counter[str]
    switches: Counter[str]
    undone: int
    asked: int
    failures: list[str]
    wrong: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing went wrong."""
        return not self.failures and not self.wrong

    def line(self) -> str:
        """Return the outcome in a line."""
        return (
            f"{self.troubles.total()} troubles, {self.switches.total()} switches, {self.undone} undone, "
            f"{self.asked} requests, {len(self.failures)} failed, {len(self.wrong)} wrong"
        )


class Stage:
    """A gateway with its agent, and all that can be done to them."""

    def __init__(self, outage: Outage, agent: AgentReplica, archive: Path, dice: random.Random) -> None:
        self.outage, self.agent, self.dice = outage, agent, dice
        self.troubles: Counter[str] = Counter()
        self.routes = {"1"}
        self.jumped_at: list[float] = []
        self._archive = archive
        self._mends: dict[str, tuple[float, Callable[[], None]]] = {}

    def befall(self) -> None:
        """Let something happen to whoever is well."""
        victims = {"etcd": self._hurt_etcd, "agent": self._hurt_agent, "archive": self._hide_archive}
        victims |= {"gateway": self._hurt_gateway, "route": self._add_route}
        (victim,) = self.dice.choices(list(victims), [6, 3, 1, 2, 2])
        if victim not in self._mends:
            victims[victim]()

    def mend(self, until: float = math.inf) -> None:
        """Let all be well whose time has come by the moment *until*."""
        self.agent.tend()
        for victim, (at, mend) in list(self._mends.items()):
            if at <= until:
                del self._mends[victim]
                mend()

    def _hurt(self, victim: str, trouble: str, mend: Callable[[], None]) -> None:
        self.troubles[trouble] += 1
        end = time.monotonic() + self.dice.expovariate(1 / _LAST_S[victim])
        self._mends[victim] = end, mend

    def _hurt_etcd(self) -> None:
        """Take etcd away, unless the gateway is on its way to it at this very moment."""
        etcd = self.outage.etcd
        with self._agent_still():
            if self._goal() == "etcd":
                return
            if self.dice.random() < 0.5:
                etcd.kill()
                self._hurt("etcd", "etcd killed", etcd.start)
            else:
                etcd.suspend()
                self._hurt("etcd", "etcd suspended", etcd.resume)

    @contextmanager
    def _agent_still(self) -> Iterator[None]:
        self.agent.suspend()
        try:
            yield
        finally:
            if self._mends.get("agent", (0, None))[1] != self.agent.resume:
                self.agent.resume()

    def _goal(self) -> str:
        """Return what the agent's journal says that the gateway is being turned to; nothing if to nothing."""
        path = self.outage.home / JOURNAL
        journal = msgspec.json.decode(path.read_bytes(), type=Journal) if path.exists() else Journal()
        return "" if journal.to is None else journal.goal

    def _hurt_agent(self) -> None:
        agent = self.agent
        trouble = self.dice.choice(["killed", "suspended", "disk full", "clock off"])
        if trouble == "killed":
            agent.kill()
            self._hurt("agent", "agent killed", agent.start)
        elif trouble == "suspended":
            agent.suspend()
            self._hurt("agent", "agent suspended", agent.resume)
        elif trouble == "disk full":
            agent.fill_disk(self.dice.choice([0, 100]))
            self._hurt("agent", "agent's disk full", agent.free_disk)
        else:
            self._jump(self.dice.choice([3600, -3600]))
            self._hurt("agent", "agent's clock off by 1 h", lambda: self._jump(0))

    def _jump(self, ahead_s: int) -> None:
        self.agent.set_clock(ahead_s)
        self.jumped_at.append(time.monotonic())

    def _hide_archive(self) -> None:
        hidden = self._archive.with_name("hidden")
        self._archive.rename(hidden)
        self._hurt("archive", "archive away", lambda: hidden.rename(self._archive) and None)

    def _hurt_gateway(self) -> None:
        knob: Knob = self.dice.choice(_KNOBS)
        self.outage.gateway.turn(knob)
        self._hurt("gateway", knob, lambda: self.outage.gateway.turn(knob, on=False))

    def _add_route(self) -> None:
        if "etcd" not in self._mends:
            number = str(len(self.routes) + 1)
            self.outage.put_route(number, f"/{number}")
            self.routes.add(number)


def told(plan: Plan) -> Outcome:
    """Play the story of *plan*; return how it went."""
    dice = random.Random(plan.seed)
    with ExitStack() as stack:
        etcd_folder = Path(stack.enter_context(TemporaryDirectory(prefix="etcd-")))
        etcd = stack.enter_context(Etcd(etcd_folder, plan.etcd_binary))
        gateway = stack.enter_context(gateway_in(plan.folder / "gateway"))
        original = gateway.config(etcd.endpoint)
        (gateway.conf / "config.yaml").write_bytes(original)
        archive = plan.folder / "link"
        archive.symlink_to(plan.folder / "archive")  # the agent's own way to it, which may be cut
        outage = Outage(etcd, gateway, plan.folder)
        outage.put_route("1", "/1")
        gateway.start()
        recorder = stack.enter_context(running(plan.folder / "run.log", "-c", outage.settings("archive")))
        recorder.tells("watch.started")
        agent = AgentReplica("agent", plan.folder, outage.settings("link"))
        stack.callback(agent.kill)
        stage = Stage(outage, agent, archive, dice)
        agent.start()
        agent.await_work()
        until((gateway.conf / "apisix.yaml").exists, "the file is there")
        clients = Clients(gateway, "/1")
        clients.start()
        stack.callback(clients.stop)
        _play(stage, plan.seconds)
        wrong = [*_rest(stage, original), *_too_close(stage)]
    return Outcome(
        troubles=stage.troubles,
        switches=_switches(plan.folder / "agent.log"),
        undone=sum(moment.what == "switch.undone" for moment in agent.timeline),
        asked=clients.asked,
        failures=clients.failures,
        wrong=wrong,
    )


def _play(stage: Stage, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        stage.befall()
        pause_end = time.monotonic() + stage.dice.expovariate(1 / _PAUSE_S)
        while (left_s := pause_end - time.monotonic()) > 0:
            stage.mend(time.monotonic())
            time.sleep(min(left_s, 0.05))


def _rest(stage: Stage, original: bytes) -> Iterator[str]:
    """Let all be well, and yield what isn't."""
    stage.mend()
    stage.agent.await_work()
    outage, gateway = stage.outage, stage.outage.gateway

    def is_over() -> bool:
        stage.agent.tend()
        held, status = gateway.held(), outage.status()
        return (
            outage.runs_on() == "etcd"
            and status["etcd_healthy_s"] > _WELL_S
            and held["provider"] == "etcd"
            and set(held.get("routes", {})) == stage.routes
        )

    try:
        until(is_over, "the gateway follows etcd again")
    except AssertionError as late:
        yield f"{late}: {outage.status()['switch']}, {outage.status()['outlook']}"
    if outage.config != original:
        yield f"config.yaml isn't the original: {outage.config!r}"
    if 1 in stage.agent.ends:
        yield "a bug has ended the agent"
    if code := stage.agent.stop():
        yield f"the agent ends with {code}"


def _too_close(stage: Stage) -> Iterator[str]:
    """Yield what began within the hold-down; for a new agent, a clock that jumps may shorten it."""
    last = -math.inf
    for moment in stage.agent.timeline:
        if moment.what in {"switch.done", "switch.undone"}:
            last = moment.at
        has_jumped = any(last <= jump <= moment.at for jump in stage.jumped_at)
        if moment.what == "switch.begun" and moment.at - last < _HOLD_DOWN_S - _HEARD_S and not has_jumped:
            yield f"a switch began {moment.at - last:.2f} s after another"


def _switches(log: Path) -> Counter[str]:
    events = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
    return Counter(event["mode"] for event in events if event["event"] == "switch.done")
