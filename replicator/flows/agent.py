"""The agent beside a gateway: keep its file fresh, watch its control plane, turn it from one to the other."""

from __future__ import annotations

import math
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from replicator.core.failover import Mode, decide
from replicator.errors import GatewayFailed, Refused, ReplicatorError, UsageError
from replicator.flows.agent_told import ANSWER, REQUEST, STATUS, AgentTold, Reply, Request
from replicator.flows.outlook import Outlook

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from replicator.flows.agent_told import Command
    from replicator.flows.outlook import AgentRules, Parts
    from replicator.flows.switch import Switch
    from replicator.ports import Clock, Home

_BEAT_S = 0.2
_STATUS_EACH_S = 2.0

# How often the control plane's config.yaml is fetched: nobody changes it every minute.
_SHARE_EACH_S = 60.0

# How often it is tried whether the gateway could be turned, and when again after a failure.
_REHEARSE_EACH_S = 30.0
_RETRY_AFTER_S = 5.0


class Agent:
    """Runs until `stop`; that may be called from any thread.

    Args:
        parts: What it puts to work.
        home: For what is told and asked.
        rules: How to decide.
        clock: For the ages.
        log: Hears of decisions.
        ending: Set by `stop`; whoever waits for the gateway looks at it.
    """

    def __init__(
        self,
        parts: Parts,
        home: Home,
        rules: AgentRules,
        clock: Clock,
        log: FilteringBoundLogger,
        *,
        ending: threading.Event | None = None,
    ) -> None:
        self._copy, self._switch, self._health = parts.copy, parts.switch, parts.health
        self._shared, self._meter = parts.shared, parts.meter
        self._home, self._rules, self._clock, self._log = home, rules, clock, log
        self._look = Outlook(parts, rules, clock)
        self._ending = ending or threading.Event()
        self._failure: BaseException | None = None
        self._outlook = self._trouble = ""
        self._was_stale = False
        self._told_at = self._try_at = self._rehearse_at = -math.inf
        self._ended_at = self._since_the_last_switch()

    def stop(self) -> None:
        """Let `run` end; what is under way is finished, or left for the next start to finish."""
        self._ending.set()

    def run(self) -> None:
        """Keep the gateway serving until told to stop.

        Raises:
            UsageError: The home can't be read or written.
        """
        threads = [
            self._thread("copy", self._copy.step, self._rules.follow_interval_s),
            self._thread("health", self._health.probe, self._rules.probe_interval_s),
        ]
        if self._shared is not None:
            threads.append(self._thread("shared", self._shared.step, _SHARE_EACH_S))
        with suppress(UsageError):  # the first beat tells of that
            self._tell()
        self._log.info("agent.started", mode=self._mode)
        try:
            while not self._ending.wait(_BEAT_S):
                self._beat()
        finally:
            self._ending.set()
            for thread in threads:  # one may hang in a store or an etcd that doesn't answer
                thread.join(_STATUS_EACH_S)
            with suppress(UsageError):
                self._tell(is_last=True)
        if self._failure is not None:
            raise self._failure
        self._log.info("agent.stopped", mode=self._mode)

    def _thread(self, name: str, step: Callable[[], None], each_s: float) -> threading.Thread:
        """Start a thread that takes a *step* each so many seconds; a bug in it ends the agent."""

        def run() -> None:
            try:
                while not self._ending.is_set():
                    step()
                    self._ending.wait(each_s)
            except BaseException as failure:  # noqa: BLE001 (raised again by `run`)
                self._failure = failure
                self._ending.set()

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def _beat(self) -> None:
        """Do what is due. What fails is told, and tried again: a full disk is no reason to end."""
        try:
            self._turn_if_need_be()
            self._answer()
            self._tell()
        except ReplicatorError as error:
            self._try_at = self._clock.monotonic() + _RETRY_AFTER_S
            self._note_trouble(str(error))

    def _note_trouble(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            self._log.error("agent.troubled", cause=trouble)
        self._trouble = trouble

    @property
    def _mode(self) -> Mode:
        return self._switch.journal.mode if self._switch is not None else "etcd"

    def _turn_if_need_be(self) -> None:
        switch, now = self._switch, self._clock.monotonic()
        if switch is None or now < self._try_at:
            return
        if switch.journal.to is not None:
            switch.resume()
            self._ended_at = self._clock.monotonic()
            return
        decision = decide(self._rules.failover, self._look.situation(switch, self._ended_at))
        self._say_outlook(decision.why)
        if decision.to is not None:
            self._turn(switch, decision.to, decision.why)
        if now >= self._rehearse_at:
            switch.rehearse()
            self._note_trouble("")
            self._rehearse_at = now + _REHEARSE_EACH_S

    def _turn(
        self, switch: Switch, to: Mode, why: str, *, is_forced: bool = False, is_pinned: bool = False
    ) -> bool:
        self._meter.count("agent_switches_total")
        is_done = False
        try:
            is_done = switch.turn(to, why, is_forced=is_forced, is_pinned=is_pinned)
            return is_done
        finally:
            self._meter.count("agent_switches_failed_total", not is_done and switch.journal.to is None)
            self._ended_at = self._clock.monotonic()
            self._rehearse_at = -math.inf

    def _say_outlook(self, why: str) -> None:
        self._outlook = why
        is_stale = self._look.is_stale()
        if is_stale and not self._was_stale:
            self._log.error("copy.stale", age_s=round(self._look.age_s() or 0.0))
        self._was_stale = is_stale

    def _answer(self) -> None:
        """Do what somebody asks for by a file in the home."""
        body = self._home.read(REQUEST)
        if body is None:
            return
        self._home.remove(REQUEST)
        try:
            request = msgspec.json.decode(body, type=Request)
        except msgspec.DecodeError:
            self._log.error("agent.troubled", cause=f"{REQUEST} is damaged")
            return
        try:
            reply = Reply(id=request.id, said=self.obey(request.command, is_forced=request.is_forced))
        except ReplicatorError as error:
            reply = Reply(id=request.id, said=str(error), exit_code=error.exit_code, hint=error.hint)
        self._home.write(ANSWER, msgspec.json.encode(reply))

    def obey(self, command: Command, *, is_forced: bool = False) -> str:
        """Do what was asked for by hand; return what was done, in words.

        Raises:
            Refused: It can't be meant, unless it is forced.
            GatewayFailed: The gateway didn't follow; it is as it was before.
            UsageError: This agent never switches; or the gateway's config.yaml is none.
        """
        self._log.warning("agent.asked", command=command)
        if command == "confirm":
            self._copy.confirm()
            return "the change that is held back goes through with the next look"
        if self._switch is None:
            raise UsageError("this agent never switches: agent.reload is not set", hint="say how to reload")
        switch = self._switch
        if command in {"pause", "resume"}:
            switch.note(is_paused=command == "pause")
            return "nothing is switched any more but by hand" if command == "pause" else "switching again"
        return self._turn_by_hand(
            switch, "standalone" if command == "failover" else "etcd", is_forced=is_forced
        )

    def alone(self, command: Command, *, is_forced: bool = False) -> str:
        """Do what was asked for by hand where no agent runs: see `obey`."""
        if self._switch is not None:
            self._switch.resume()
        if command in {"failover", "confirm"}:
            self._copy.step()
        if command == "failback":
            self._health.probe()
        said = self.obey(command, is_forced=is_forced)
        if command == "confirm":
            self._copy.step()
        self._tell(is_last=True)
        return said

    def _turn_by_hand(self, switch: Switch, to: Mode, *, is_forced: bool) -> str:
        if switch.journal.mode == to and not is_forced:
            switch.note(is_pinned=to == "standalone")
            return f"it runs on {_NAMES[to]} already"
        why = (
            self._look.unusable() if to == "standalone" else self._look.away() or self._look.distrust(switch)
        )
        if why and not is_forced:
            raise Refused(why, hint="--force does it all the same")
        is_done = self._turn(
            switch, to, "asked for by hand", is_forced=is_forced, is_pinned=to == "standalone"
        )
        if not is_done:
            failure = switch.journal.failure or "the agent ends, and the next one finishes it"
            raise GatewayFailed(f"it was undone: {failure}", hint="replicator agent status")
        return f"the gateway runs on {_NAMES[to]}"

    def told(self, *, is_running: bool = True) -> AgentTold:
        """Return what this agent says of itself."""
        pulse = self._health.pulse()
        return AgentTold(
            at=self._clock.now(),
            pid=os.getpid() if is_running else 0,
            switch=self._switch.journal if self._switch is not None else None,
            copy=self._copy.told,
            etcd_failing_s=round(pulse.failing_s, 1),
            etcd_healthy_s=round(pulse.healthy_s, 1),
            etcd_failure=pulse.failure,
            outlook=self._outlook,
            age_s=self._look.age_s(),
            is_stale=self._look.is_stale(),
            trouble=self._trouble,
        )

    def _tell(self, *, is_last: bool = False) -> None:
        now = self._clock.monotonic()
        if is_last or now - self._told_at >= _STATUS_EACH_S:
            self._told_at = now
            self._measure()
            self._home.write(STATUS, msgspec.json.encode(self.told(is_running=not is_last)))

    def _measure(self) -> None:
        meter, age_s = self._meter, self._look.age_s()
        meter.set("agent_standalone", self._mode == "standalone")
        meter.set("agent_etcd_failing_seconds", self._health.pulse().failing_s)
        meter.set("agent_held_back", bool(self._copy.told.held))
        meter.set("agent_troubled", bool(self._trouble))
        if age_s is not None:
            meter.set("agent_configuration_age_seconds", age_s)

    def _since_the_last_switch(self) -> float:
        """Return when, on the monotonic clock, the last switch ended, of this process or one before."""
        ended_at = self._switch.journal.ended_at if self._switch is not None else None
        if ended_at is None:
            return float("-inf")
        # A clock that was set back must not hold the switch down for ever.
        return self._clock.monotonic() - max(0.0, (self._clock.now() - ended_at).total_seconds())


_NAMES: dict[Mode, str] = {"etcd": "etcd", "standalone": "its file"}
