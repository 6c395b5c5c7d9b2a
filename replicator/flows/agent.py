"""The agent beside a gateway: keep its file fresh, watch its control plane, turn it from one to the other."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from replicator.core.failover import FailoverRules, Mode, Situation, decide, hold_down_s
from replicator.errors import GatewayFailed, Refused, ReplicatorError, UsageError
from replicator.flows.agent_told import ANSWER, REQUEST, STATUS, AgentTold, Reply, Request

if TYPE_CHECKING:
    from datetime import timedelta

    from structlog.typing import FilteringBoundLogger

    from replicator.flows.agent_told import Command
    from replicator.flows.copy import Copy
    from replicator.flows.health import Health, Pulse
    from replicator.flows.switch import Switch
    from replicator.ports import Clock, Home

_BEAT_S = 0.2
_STATUS_EACH_S = 2.0
_REHEARSE_EACH_S = 10.0


@dataclass(frozen=True, slots=True)
class AgentRules:
    """How the agent decides.

    Attributes:
        failover: When the gateway is turned.
        follow_interval_s: How often the archive is asked for news.
        max_age: How old the configuration may be.
        may_be_stale: Whether a gateway is turned to a file that is older.
    """

    failover: FailoverRules
    follow_interval_s: float
    max_age: timedelta
    may_be_stale: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """What an agent puts to work.

    Attributes:
        copy: Keeps the file fresh.
        switch: Turns the gateway; None if nothing is to be turned.
        health: Probes etcd.
    """

    copy: Copy
    switch: Switch | None
    health: Health


class Agent:
    """Runs until `stop`; that may be called from any thread.

    Args:
        parts: What it puts to work.
        home: For what is told and asked.
        rules: How to decide.
        clock: For the ages.
        log: Hears of decisions.
    """

    def __init__(
        self,
        parts: Parts,
        home: Home,
        rules: AgentRules,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._copy, self._switch, self._health = parts.copy, parts.switch, parts.health
        self._home, self._rules, self._clock, self._log = home, rules, clock, log
        self._ending = threading.Event()
        self._failure: BaseException | None = None
        self._outlook = self._trouble = ""
        self._was_stale = False
        self._told_at, self._rehearse_at = -_STATUS_EACH_S, -_REHEARSE_EACH_S
        self._ended_at = self._since_the_last_switch()

    def stop(self) -> None:
        """Let `run` end; what is under way is finished, or left for the next start to finish."""
        self._ending.set()

    def run(self) -> None:
        """Keep the gateway serving until told to stop.

        Raises:
            UsageError: The home can't be read or written.
        """
        following = threading.Thread(target=self._follow, name="copy", daemon=True)
        following.start()
        self._health.start()
        self._tell()
        self._log.info("agent.started", mode=self._mode)
        try:
            while not self._ending.wait(_BEAT_S):
                self._turn_if_need_be()
                self._answer()
                self._tell()
        finally:
            self._ending.set()
            self._health.finish()
            following.join(_STATUS_EACH_S)
            self._tell(is_last=True)
        if self._failure is not None:
            raise self._failure
        self._log.info("agent.stopped", mode=self._mode)

    def _follow(self) -> None:
        try:
            while not self._ending.is_set():
                self._copy.step()
                self._ending.wait(self._rules.follow_interval_s)
        except BaseException as failure:  # noqa: BLE001 (raised again by `run`)
            self._failure = failure
            self._ending.set()

    @property
    def _mode(self) -> Mode:
        return self._switch.journal.mode if self._switch is not None else "etcd"

    def _turn_if_need_be(self) -> None:
        if self._switch is None:
            return
        try:
            if self._switch.journal.to is not None:
                self._switch.resume()
                self._ended_at = self._clock.monotonic()
                return
            self._heal(self._switch)
            self._rehearse(self._switch)
            decision = decide(self._rules.failover, self._situation(self._switch))
            self._say_outlook(decision.why)
            if decision.to is not None:
                self._turn(self._switch, decision.to, decision.why)
        except ReplicatorError as error:
            if self._trouble != str(error):
                self._log.error("agent.troubled", cause=str(error))
            self._trouble = str(error)

    def _rehearse(self, switch: Switch) -> None:
        """See now and then that the gateway could be turned: an outage is a bad moment to find out."""
        now = self._clock.monotonic()
        if now < self._rehearse_at:
            return
        switch.rehearse()
        self._rehearse_at, self._trouble = now + _REHEARSE_EACH_S, ""

    def _heal(self, switch: Switch) -> None:
        """Turn a container that was made anew, and has its original config.yaml again, to its file again."""
        held_s = hold_down_s(self._rules.failover, switch.journal.undone)
        may_turn = not switch.journal.is_paused and self._clock.monotonic() - self._ended_at >= held_s
        if may_turn and switch.is_undone():
            self._turn(switch, "standalone", "config.yaml is the original again, and etcd isn't back")

    def _turn(self, switch: Switch, to: Mode, why: str, *, is_forced: bool = False) -> bool:
        try:
            return switch.turn(to, why, is_forced=is_forced)
        except UsageError as error:
            switch.fail(why, str(error))
            raise
        finally:
            self._ended_at = self._clock.monotonic()

    def _situation(self, switch: Switch) -> Situation:
        pulse, journal = self._health.pulse(), switch.journal
        return Situation(
            mode=journal.mode,
            failing_s=pulse.failing_s,
            healthy_s=pulse.healthy_s,
            since_switch_s=self._clock.monotonic() - self._ended_at,
            undone=journal.undone,
            is_paused=journal.is_paused,
            is_pinned=journal.is_pinned,
            unusable=self._unusable(),
            distrust=self._distrust(switch, pulse),
        )

    def _unusable(self) -> str:
        told = self._copy.told
        if told.written is None:
            return f"there is no file yet: {told.failure or 'the archive was not read yet'}"
        if self._is_stale() and not self._rules.may_be_stale:
            return "the file is older than agent.max_age"
        return ""

    def _distrust(self, switch: Switch, pulse: Pulse) -> str:
        written = self._copy.told.written
        if pulse.is_empty and written is not None and any(written.counts.values()):
            return "it holds nothing under the prefix: it was wiped, or is another one"
        if switch.journal.mode == "standalone" and switch.stranger():
            return "somebody has changed config.yaml: replicator agent failback --force"
        return ""

    def _age_s(self) -> float | None:
        known = self._copy.told.observed_through
        return None if known is None else max(0.0, (self._clock.now() - known).total_seconds())

    def _is_stale(self) -> bool:
        age_s = self._age_s()
        return age_s is not None and age_s > self._rules.max_age.total_seconds()

    def _say_outlook(self, why: str) -> None:
        self._outlook = why
        is_stale = self._is_stale()
        if is_stale and not self._was_stale:
            self._log.error("copy.stale", age_s=round(self._age_s() or 0.0))
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
        why = self._unusable() if to == "standalone" else self._distrust(switch, self._health.pulse())
        if why and not is_forced:
            raise Refused(why, hint="--force does it all the same")
        if not self._turn(switch, to, "asked for by hand", is_forced=is_forced):
            raise GatewayFailed(
                f"it was undone: {switch.journal.failure}", hint="the gateway is as it was before"
            )
        switch.note(is_pinned=to == "standalone")
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
            age_s=self._age_s(),
            is_stale=self._is_stale(),
            trouble=self._trouble,
        )

    def _tell(self, *, is_last: bool = False) -> None:
        now = self._clock.monotonic()
        if is_last or now - self._told_at >= _STATUS_EACH_S:
            self._told_at = now
            self._home.write(STATUS, msgspec.json.encode(self.told(is_running=not is_last)))

    def _since_the_last_switch(self) -> float:
        """Return when, on the monotonic clock, the last switch ended, of this process or one before."""
        ended_at = self._switch.journal.ended_at if self._switch is not None else None
        if ended_at is None:
            return float("-inf")
        # A clock that was set back must not hold the switch down for ever.
        return self._clock.monotonic() - max(0.0, (self._clock.now() - ended_at).total_seconds())


_NAMES: dict[Mode, str] = {"etcd": "etcd", "standalone": "its file"}
