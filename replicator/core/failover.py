"""When a gateway is turned from etcd to its file, and back: a table of transitions, pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Mode: TypeAlias = Literal["etcd", "standalone"]

_DOUBLINGS: Final = 4


@dataclass(frozen=True, slots=True)
class FailoverRules:
    """How patient the switch is, in seconds.

    Attributes:
        failover_after_s: For how long etcd must have failed without a break.
        failback_after_s: For how long it must have been well without a break.
        hold_down_s: The least time between two switches. After each one in a row that was undone it doubles,
            up to 16 times.
    """

    failover_after_s: float
    failback_after_s: float
    hold_down_s: float


@dataclass(frozen=True, slots=True)
class Situation:
    """What a decision rests on.

    Attributes:
        mode: What the gateway runs on.
        failing_s: For how long every probe of etcd has failed; 0 if the last one passed.
        healthy_s: For how long every probe has passed; 0 if the last one failed.
        since_switch_s: Since the last switch ended, however it did; infinity if there was none.
        undone: How many switches in a row were undone.
        is_paused: Whether somebody has forbidden switches.
        is_pinned: Whether somebody has turned it to the file by hand: it stays there until they turn it back.
        unusable: Why the file can't be served, in words; empty if it can.
        distrust: Why an etcd that answers isn't trusted with the gateway; empty if it is.
        again: Why the gateway must be turned once more to what it runs on; empty if it mustn't.
    """

    mode: Mode
    failing_s: float = 0.0
    healthy_s: float = 0.0
    since_switch_s: float = float("inf")
    undone: int = 0
    is_paused: bool = False
    is_pinned: bool = False
    unusable: str = ""
    distrust: str = ""
    again: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done: *to* is the mode to turn to, None for staying; *why* is for people.

    To turn it to the mode that it has lets it read its config.yaml once more.
    """

    to: Mode | None
    why: str


def decide(rules: FailoverRules, now: Situation) -> Decision:
    """Return what is to be done.

    | mode | etcd | the file | answer |
    |---|---|---|---|
    | etcd | failed for `failover_after_s` | usable | standalone |
    | etcd | failed for `failover_after_s` | unusable | stay, and say so |
    | standalone | well for `failback_after_s`, and trusted | | etcd |
    | standalone | well, not trusted | | stay, and say so |
    | etcd | well, and the gateway may not have read its config.yaml | | etcd again |
    | standalone | on no way back, and the gateway may not run on its file | | standalone again |
    | any | anything else | | stay |

    Nothing happens while paused or within the hold-down; a pinned gateway stays on its file.
    """
    wanted = _wanted(rules, now)
    if wanted.to is None:
        return wanted
    if now.is_paused:
        return Decision(None, f"paused; else: {wanted.why}")
    left_s = hold_down_s(rules, now.undone) - now.since_switch_s
    if left_s > 0:
        return Decision(None, f"held down for another {left_s:.0f} s; then: {wanted.why}")
    return wanted


def hold_down_s(rules: FailoverRules, undone: int) -> float:
    """Return the least time between two switches after *undone* ones in a row that were undone."""
    return float(rules.hold_down_s * 2 ** min(undone, _DOUBLINGS))


def _wanted(rules: FailoverRules, now: Situation) -> Decision:
    if now.mode == "etcd":
        wanted, is_on_its_way = _failover(rules, now), now.healthy_s <= 0
    elif now.is_pinned:
        wanted, is_on_its_way = Decision(None, "turned to the file by hand"), False
    else:
        wanted, is_on_its_way = _failback(rules, now), now.healthy_s > 0 and not now.distrust
    if wanted.to is None and now.again and not is_on_its_way:
        return Decision(now.mode, now.again)
    return wanted


def _failover(rules: FailoverRules, now: Situation) -> Decision:
    if now.failing_s <= 0:
        return Decision(None, "etcd serves the gateway")
    said = f"etcd has failed for {now.failing_s:.0f} s"
    if now.failing_s < rules.failover_after_s:
        return Decision(None, f"{said} of {rules.failover_after_s:.0f} s")
    return Decision(None, f"{said}, but {now.unusable}") if now.unusable else Decision("standalone", said)


def _failback(rules: FailoverRules, now: Situation) -> Decision:
    if now.healthy_s <= 0:
        return Decision(None, "etcd fails")
    said = f"etcd has been well for {now.healthy_s:.0f} s"
    if now.healthy_s < rules.failback_after_s:
        return Decision(None, f"{said} of {rules.failback_after_s:.0f} s")
    return Decision(None, f"{said}, but {now.distrust}") if now.distrust else Decision("etcd", said)
