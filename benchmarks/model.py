"""Past this machine: what a fleet costs and where it ends, reckoned from the newest report's facts.

Every number of docs/scale.md comes from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.prices import DUMP, LOOK, MONTH_S, READ, STORED_GB_MONTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Row = tuple[str, str, str]

_GB = 1e9
_MONTHS_A_YEAR = 12
_WORKING_DAYS_A_YEAR = 250
_MINUTES_A_MONTH = MONTH_S / 60
_NAMES_A_LIST = 1000
_LIST_S = 0.05


@dataclass(frozen=True)
class Fleet:
    """Who records what.

    Attributes:
        groups: Gateway groups, each with an archive of its own.
        keys: In each of them.
        bursts: Of changes in a group on a working day.
        burst: Changes in each.
        gateways: That follow each group's archive.
        years: For how long.
    """

    groups: int
    keys: int
    bursts: int = 10
    burst: int = 5
    gateways: int = 10
    years: int = 10

    @property
    def changes_a_year(self) -> int:
        """Of one group."""
        return _WORKING_DAYS_A_YEAR * self.bursts * self.burst

    @property
    def snapshots_a_year(self) -> int:
        """Of one group with the default schedule: one for each minute in which something changed."""
        return _WORKING_DAYS_A_YEAR * self.bursts


MANY = Fleet(groups=1_000, keys=1_000)
ONE = Fleet(groups=1, keys=1_000_000)


@dataclass(frozen=True)
class Model:
    """The arithmetic, over the *facts* of a report."""

    facts: Mapping[str, float]

    def writer_dollars_a_month(self, fleet: Fleet) -> float:
        """Return what one writer's requests cost: when idle, and what each change adds to that."""
        idle = self.facts["writer_dollars_a_month idle"]
        busy = self.facts["writer_dollars_a_month 1 change/min"]
        return idle + (busy - idle) / _MINUTES_A_MONTH * fleet.changes_a_year / _MONTHS_A_YEAR

    def follower_dollars_a_month(self, interval_s: float) -> float:
        """Return what one follower's requests cost: a GET each *interval_s*, and what it asks anyhow."""
        a_second = self.facts["follower_dollars_a_month idle"]
        return a_second - READ * MONTH_S + READ * MONTH_S / interval_s

    def log_gb(self, fleet: Fleet) -> float:
        """Return the size of all logs at the end."""
        changes = fleet.groups * fleet.changes_a_year * fleet.years
        return self.facts["log_bytes_per_change"] * changes / _GB

    def snapshot_gb(self, fleet: Fleet) -> float:
        """Return the size of one snapshot of each group."""
        return self.facts["snapshot_bytes_per_key"] * fleet.keys * fleet.groups / _GB

    def snapshots_gb(self, fleet: Fleet) -> float:
        """Return the size of all snapshots at the end, if none is ever thinned."""
        return self.snapshot_gb(fleet) * fleet.snapshots_a_year * fleet.years

    def retained(self, fleet: Fleet) -> float:
        """Return how many snapshots of a group stay with ``full: 30d`` and ``daily: 1y``."""
        return fleet.snapshots_a_year * 30 / 365 + _WORKING_DAYS_A_YEAR * 335 / 365

    def memory_gb(self, fleet: Fleet) -> float:
        """Return the peak of one `run` of all groups, or of the one."""
        held = self.facts["bytes_per_key"] * fleet.keys * fleet.groups
        return (self.facts["run_base_bytes"] + self.facts["run_peak_bytes_per_byte"] * held) / _GB


def costs(facts: Mapping[str, float]) -> Iterator[Row]:
    """Yield what each thing costs the fleet of many groups a month: what, how reckoned, dollars."""
    model, fleet = Model(facts), MANY
    writer = model.writer_dollars_a_month(fleet)
    standby = facts["standby_dollars_a_month"]
    followers = fleet.groups * fleet.gateways
    yield (
        f"{fleet.groups:,} writers, requests",
        f"idle, and {fleet.changes_a_year:,} changes a year each",
        _dollars(fleet.groups * writer),
    )
    yield (f"{fleet.groups:,} standbys, requests", "the same for each", _dollars(fleet.groups * standby))
    for interval_s in (1.0, 10.0):
        price = model.follower_dollars_a_month(interval_s)
        yield (
            f"{followers:,} followers, requests",
            f"`agent.follow_interval: {interval_s:.0f}s`",
            _dollars(followers * price),
        )
    kept = model.log_gb(fleet)
    yield (f"logs after {fleet.years} years", f"{kept:,.0f} GB", _dollars(kept * STORED_GB_MONTH))
    kept = model.snapshots_gb(fleet)
    yield (
        f"snapshots after {fleet.years} years, none thinned",
        f"{fleet.snapshots_a_year * fleet.years:,} of each group, {kept:,.0f} GB",
        _dollars(kept * STORED_GB_MONTH),
    )
    kept = model.snapshot_gb(fleet) * model.retained(fleet)
    yield (
        "snapshots with `retention: {full: 30d, daily: 1y}`",
        f"{model.retained(fleet):,.0f} of each group, {kept:,.0f} GB",
        _dollars(kept * STORED_GB_MONTH),
    )
    yield (
        "for comparison: API7's dumps, requests",
        f"{fleet.groups:,} control planes each minute",
        _dollars(fleet.groups * DUMP.price),
    )
    yield (
        "for comparison: API7's gateways, requests",
        f"{followers:,} looks each 10 s",
        _dollars(followers * LOOK.price),
    )


def limits(facts: Mapping[str, float]) -> Iterator[Row]:
    """Yield what a million keys ask of a process: what, how reckoned, how much."""
    model = Model(facts)
    rate = 1e6 / facts["capture_cpu_us_per_change"]
    yield (
        "memory of `run`, one source of 1,000,000 keys",
        f"{facts['run_peak_bytes_per_byte']:.1f} times the bytes of keys and values",
        f"{model.memory_gb(ONE):.1f} GB",
    )
    yield (
        "bootstrap of 1,000,000 keys",
        f"{facts['bootstrap_keys_per_s']:,.0f} keys/s",
        _seconds(ONE.keys / facts["bootstrap_keys_per_s"]),
    )
    yield (
        "restore of 1,000,000 keys",
        f"{facts['restore_keys_per_s']:,.0f} keys/s",
        _seconds(ONE.keys / facts["restore_keys_per_s"]),
    )
    yield (
        "a follower's processor time for one change, 1,000,000 keys",
        f"{facts['follower_cpu_us_per_change_and_route']:.1f} µs for each route",
        _seconds(facts["follower_cpu_us_per_change_and_route"] * ONE.keys / 1e6),
    )
    yield (
        "changes that one core records",
        f"{facts['capture_cpu_us_per_change']:.0f} µs each",
        f"{rate:,.0f} a second",
    )
    yield (
        "a snapshot of 1,000,000 keys",
        f"{facts['snapshot_bytes_per_key']:.0f} B a key",
        f"{1000 * model.snapshot_gb(ONE):,.0f} MB",
    )
    a_year = 365 * 24 * 60
    yield (
        "snapshots of 1,000,000 keys, a year in which something changes each minute",
        f"{a_year:,} of them, none thinned",
        f"{model.snapshot_gb(ONE) * a_year / 1000:,.0f} TB",
    )
    for fleet, words in ((MANY, "a group of the fleet"), (ONE, "changes each minute")):
        names = (fleet.snapshots_a_year if fleet is MANY else a_year) * fleet.years
        lists = -(-names // _NAMES_A_LIST)
        yield (
            f"LISTs of snapshot names in a restore after {fleet.years} years, {words}, none thinned",
            f"{names:,} names, {_LIST_S * 1000:.0f} ms a LIST",
            f"{lists:,}: {_seconds(lists * _LIST_S)}",
        )


def _dollars(amount: float) -> str:
    return f"${amount:,.0f}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
