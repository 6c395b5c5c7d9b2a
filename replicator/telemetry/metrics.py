"""The metrics: names that alerts and dashboards may rely on. docs/metrics.md is made from this list.

Flows set and count by these names, without the prefix `PREFIX`, on a `Meter`. Whether anybody serves them is
no business of theirs: where nobody does, `Silent` takes the numbers.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX: Final = "replicator_"
ARCHIVE: Final = "archive"
"""The label that each metric has: the archive's URL."""

LABELS: Final = {
    "archive": "URL of the archive; on every metric.",
    "operation": "What was asked of the store: `create`, `get`, `names`, `delete` or `replace`.",
    "result": "How that ended: `ok`; `missing`, `exists` or `changed`, which are answers; `damaged`; "
    "`unavailable`, when the attempts were given up; `refused`, when another would be no use.",
}
"""What the labels mean."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its name without `PREFIX`, what it means, its unit, and its labels beside `ARCHIVE`."""

    name: str
    type: Literal["gauge", "counter", "histogram"]
    meaning: str
    unit: str = ""
    labels: tuple[str, ...] = ()


METRICS: Final = (
    Metric("restorable_revision", "gauge", "What was stored and read back: up to here a restore works."),
    Metric("restorable_time_seconds", "gauge", "The same as a time.", "seconds since 1970"),
    Metric("recorded_revision", "gauge", "The last change that was stored."),
    Metric("watermark_time_seconds", "gauge", "Until then everything is known.", "seconds since 1970"),
    Metric("etcd_head_revision", "gauge", "The last revision that etcd was heard to have."),
    Metric("lag_revisions", "gauge", "How many revisions etcd is ahead of what is stored or quiet."),
    Metric("segments_stored_total", "counter", "Segments that this process has stored."),
    Metric("snapshots_stored_total", "counter", "Snapshots that this process has stored."),
    Metric("last_snapshot_time_seconds", "gauge", "When the last one was stored.", "seconds since 1970"),
    Metric("store_failures_total", "counter", "Requests to the store that failed.", labels=("operation",)),
    Metric(
        "store_request_duration_seconds",
        "histogram",
        "Requests to the store, each with its repetitions.",
        "seconds",
        ("operation", "result"),
    ),
    Metric("spool_bytes", "gauge", "Size of what waits on local disk for the store.", "bytes"),
    Metric("spool_segments", "gauge", "Segments that wait on local disk for the store."),
    Metric("spool_full", "gauge", "1 while the spool is full, so that etcd's watch waits; else 0."),
    Metric("spool_write_failures_total", "counter", "Segments that the local disk didn't take at once."),
    Metric("is_writer", "gauge", "1 while this process holds the lease; 0 while it stands by."),
    Metric("fenced_total", "counter", "How often another writer has taken over from this process."),
    Metric("takeovers_total", "counter", "How often this process has taken over as the writer."),
    Metric("gaps", "gauge", "Gaps in the archive's history."),
    Metric("unacknowledged_gaps", "gauge", "Those of them that nobody has acknowledged."),
    Metric("watch_reconnects_total", "counter", "How often etcd's watch was lost."),
    Metric("readbacks_total", "counter", "Objects that were read back, and were what was stored."),
    Metric("readback_failures_total", "counter", "Objects that were read back and weren't what was stored."),
    Metric("last_drill_time_seconds", "gauge", "When `run` last rehearsed a restore.", "seconds since 1970"),
    Metric("last_drill_success", "gauge", "1 if that gave the state that was recorded; 0 if it didn't."),
    Metric("agent_standalone", "gauge", "1 while the agent's gateway runs on its file; 0 on etcd."),
    Metric(
        "agent_etcd_failing_seconds", "gauge", "For how long etcd has failed; 0 if it doesn't.", "seconds"
    ),
    Metric("agent_configuration_age_seconds", "gauge", "How old the gateway's file is.", "seconds"),
    Metric("agent_held_back", "gauge", "1 while a change is held back from the gateway as a wipe; else 0."),
    Metric("agent_troubled", "gauge", "1 while something must be mended before an outage; else 0."),
    Metric("agent_switches_total", "counter", "Switches that the agent began, by hand or not."),
    Metric("agent_switches_failed_total", "counter", "Those of them that were undone."),
)
"""All metrics of this version."""

BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Bounds of the histograms, in seconds: from a local disk's answer to the last attempt at one."""

_BY_NAME: Final = {metric.name: metric for metric in METRICS}


class Meter(Protocol):
    """Takes one archive's numbers; from any thread. A name that isn't in `METRICS` is a bug: KeyError."""

    def set(self, name: str, value: float) -> None:
        """Let the gauge *name* stand at *value*."""

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Let the counter *name* rise by *amount*."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Put *value* into the histogram *name*."""


class Silent:
    """A `Meter` that nobody reads. It knows the names all the same."""

    def set(self, name: str, value: float) -> None:  # noqa: ARG002 (nobody reads it)
        """Check the name."""
        known(name, "gauge", ())

    def count(self, name: str, amount: float = 1, **labels: str) -> None:  # noqa: ARG002
        """Check the name and the labels."""
        known(name, "counter", tuple(labels))

    def observe(self, name: str, value: float, **labels: str) -> None:  # noqa: ARG002
        """Check the name and the labels."""
        known(name, "histogram", tuple(labels))


def known(name: str, kind: str, labels: tuple[str, ...]) -> Metric:
    """Return the metric *name*.

    Raises:
        KeyError: There is none of this name, type and labels.
    """
    metric = _BY_NAME[name]
    if (metric.type, metric.labels) != (kind, labels):
        raise KeyError(f"{name} is a {metric.type} with the labels {metric.labels}")
    return metric


_PREAMBLE: Final = """\
# Metrics

<!-- Written by `python -m replicator.telemetry.metrics`; edit replicator/telemetry/metrics.py. -->

`replicator run` and `replicator agent` serve them for Prometheus at `http://<metrics.listen>/metrics`, if
[`metrics.listen`](configuration.md#metrics) is set. Whoever reaches the address may read them: they hold
numbers and the archive's URL, never a key or a value.

| path | answers |
|---|---|
| `/metrics` | the metrics |
| `/healthz` | 200 while the process lives |
| `/readyz` | 200 while each archive is looked after, else 503; a line for each says how |

An archive is looked after while this process writes it and has heard of etcd within 15 minutes, stands by for
it, or follows it as an agent.

A gauge appears once it is known: there is no `restorable_revision` before something was read back. Counters
begin at 0 with the process.
"""

_ALERTS: Final = """\
## What to watch

Alert rules for Prometheus are in [`deploy/monitoring/alerts.yaml`](../deploy/monitoring/alerts.yaml); the
[runbook](runbook.md) says of each what it means and what to do. The one that counts most is
`replicator_restorable_time_seconds`: recorded is not restorable, and this is what was read back.
[Verification](verification.md) says what is behind it.
"""


def reference() -> str:
    """Return the list of metrics as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _PREAMBLE
    yield "| metric | type | unit | labels | meaning |"
    yield "|---|---|---|---|---|"
    for metric in METRICS:
        labels = ", ".join(f"`{name}`" for name in (ARCHIVE, *metric.labels))
        yield f"| `{PREFIX}{metric.name}` | {metric.type} | {metric.unit} | {labels} | {metric.meaning} |"
    yield "\n| label | meaning |"
    yield "|---|---|"
    for name, meaning in LABELS.items():
        yield f"| `{name}` | {meaning} |"
    yield f"\n{_ALERTS}"


if __name__ == "__main__":
    sys.stdout.write(reference())
