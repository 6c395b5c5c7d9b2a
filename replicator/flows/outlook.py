"""What an agent's decisions rest on: how etcd, the file and the switch stand at the moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replicator.core.failover import FailoverRules, Situation
from replicator.telemetry.metrics import Silent

if TYPE_CHECKING:
    from datetime import timedelta

    from replicator.flows.copy import Copy
    from replicator.flows.health import Health
    from replicator.flows.shared_config import SharedConfig
    from replicator.flows.switch import Switch
    from replicator.ports import Clock
    from replicator.telemetry.metrics import Meter


@dataclass(frozen=True, slots=True)
class AgentRules:
    """How the agent decides.

    Attributes:
        failover: When the gateway is turned.
        follow_interval_s: How often the archive is asked for news.
        probe_interval_s: How often etcd is probed.
        max_age: How old the configuration may be.
        may_be_stale: Whether a gateway is turned to a file that is older.
    """

    failover: FailoverRules
    follow_interval_s: float
    probe_interval_s: float
    max_age: timedelta
    may_be_stale: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """What an agent puts to work.

    Attributes:
        copy: Keeps the file fresh.
        switch: Turns the gateway; None if nothing is to be turned.
        health: Probes etcd.
        shared: Keeps what the gateway must share with its control plane; None if nobody records that.
        meter: Takes the numbers.
    """

    copy: Copy
    switch: Switch | None
    health: Health
    shared: SharedConfig | None = None
    meter: Meter = field(default_factory=Silent)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Looks at *parts* by *rules*."""

    parts: Parts
    rules: AgentRules
    clock: Clock

    def situation(self, switch: Switch, ended_at: float) -> Situation:
        """Return what there is to decide upon; the last switch *ended_at* this monotonic time."""
        pulse, journal = self.parts.health.pulse(), switch.journal
        return Situation(
            mode=journal.mode,
            failing_s=pulse.failing_s,
            healthy_s=pulse.healthy_s,
            since_switch_s=self.clock.monotonic() - ended_at,
            undone=journal.undone,
            is_paused=journal.is_paused,
            is_pinned=journal.is_pinned,
            unusable=self.unusable(),
            distrust=self.distrust(switch),
            again=self._again(switch),
        )

    def unusable(self) -> str:
        """Return why the file can't be served, in words; nothing if it can."""
        told = self.parts.copy.told
        if told.written is None:
            return f"there is no file yet: {told.failure or 'the archive was not read yet'}"
        if self.is_stale() and not self.rules.may_be_stale:
            return "the file is older than agent.max_age"
        return ""

    def distrust(self, switch: Switch) -> str:
        """Return why an etcd that answers isn't trusted with the gateway, in words; nothing if it is."""
        written = self.parts.copy.told.written
        if self.parts.health.pulse().is_empty and written is not None and any(written.counts.values()):
            return "it holds no resource under the prefix: it was wiped, or is another one"
        if self.parts.copy.told.held:
            return "what it holds is held back from the gateway: replicator agent confirm"
        if switch.journal.mode == "standalone" and switch.stranger():
            return "somebody has changed config.yaml: replicator agent failback --force"
        return ""

    def away(self) -> str:
        """Return how etcd fails, in words; nothing if it doesn't."""
        failure = self.parts.health.pulse().failure
        return f"etcd fails, and the gateway would have nothing: {failure}" if failure else ""

    def age_s(self) -> float | None:
        """Return how old the configuration is; None if nobody knows."""
        known = self.parts.copy.told.observed_through
        return None if known is None else max(0.0, (self.clock.now() - known).total_seconds())

    def is_stale(self) -> bool:
        """Tell whether that is too old."""
        age_s = self.age_s()
        return age_s is not None and age_s > self.rules.max_age.total_seconds()

    def _again(self, switch: Switch) -> str:
        if switch.is_undone():  # a container that was made anew
            return "config.yaml is the original again, and etcd isn't back"
        unread = switch.journal.unread
        return f"the gateway may not have read its config.yaml: {unread}" if unread else ""
