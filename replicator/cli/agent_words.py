"""What ``replicator agent status`` says to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.core.quantities import format_time, human_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.flows.agent_told import AgentTold
    from replicator.flows.copy_told import CopyTold
    from replicator.flows.journal import Journal

_MODES = {"etcd": "etcd", "standalone": "its file (standalone)"}


def words(told: AgentTold) -> Iterator[str]:
    """Yield the lines."""
    if told.pid:
        yield f"agent      process {told.pid}, as of {format_time(told.at)}"
    else:
        yield f"agent      NONE RUNS; this was so at {format_time(told.at)}"
    if told.switch is None:
        yield "gateway    never switched: agent.reload is not set"
    else:
        yield from _switch_words(told.switch)
    yield f"etcd       {_etcd(told)}"
    yield f"next       {told.outlook or 'nothing to be done'}"
    yield from _copy_words(told.copy)
    if told.age_s is not None:
        yield f"age        {human_duration(round(told.age_s, 1))}{'  TOO OLD' if told.is_stale else ''}"
    if told.trouble:
        yield f"TROUBLE    {told.trouble}"


def _switch_words(journal: Journal) -> Iterator[str]:
    marks = [name for name, is_so in (("paused", journal.is_paused), ("by hand", journal.is_pinned)) if is_so]
    yield f"gateway    runs on {_MODES[journal.mode]}{', ' + ', '.join(marks) if marks else ''}"
    if journal.to is not None:
        yield f"           BEING TURNED to {_MODES[journal.to]}: {journal.step}"
    if journal.ended_at is not None:
        yield f"           last switch {format_time(journal.ended_at)}: {journal.why}"
    if journal.failure:
        yield f"           UNDONE: {journal.failure}"


def _etcd(told: AgentTold) -> str:
    if told.etcd_failing_s:
        return f"FAILS for {human_duration(told.etcd_failing_s)}: {told.etcd_failure}"
    return f"well for {human_duration(told.etcd_healthy_s)}" if told.etcd_healthy_s else "not asked yet"


def _copy_words(told: CopyTold) -> Iterator[str]:
    if told.written is None:
        yield "file       none was written yet"
    else:
        items = sum(told.written.counts.values())
        yield f"file       revision {told.written.revision} of epoch {told.written.epoch}; {items} resources"
    if told.held:
        since = f" since {format_time(told.held_since)}" if told.held_since else ""
        yield f"HELD BACK  {told.held}{since}; replicator agent confirm lets it through"
    if told.unopened:
        yield f"KEYRING    opens nothing of {', '.join(told.unopened[:5])}"
    if told.failure:
        yield f"NOT FRESH  {told.failure}"
