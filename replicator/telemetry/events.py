"""The log's events: names that alerts and dashboards may rely on. docs/events.md is made from this list.

A name says a noun and what happened to it. Values of keys are never logged.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from replicator.telemetry.agent_events import AGENT_EVENTS
from replicator.telemetry.event import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERYWHERE: Final = {
    "time": "When it was logged: RFC 3339, UTC, microseconds.",
    "level": "`debug`, `info`, `warning` or `error`.",
    "event": "The event's name.",
    "archive": "URL of the archive.",
}
"""The fields that each event has."""

FIELDS: Final = {
    "address": "Host and port.",
    "age_s": "Age in seconds.",
    "after": "The revision that the watch continues behind.",
    "archive_id": "Identity of the archive, as in `archive.json`.",
    "attempt": "How many attempts have failed.",
    "base": "Revision of the state that the epoch begins with.",
    "cause": "What the server said, or why there was no answer.",
    "cluster_id": "Identity of the etcd cluster.",
    "command": "What was asked for.",
    "created": "How many keys were created.",
    "deleted": "How many keys were deleted.",
    "duration_s": "How long it took, in seconds.",
    "epoch": "Number of the epoch.",
    "events": "How many events the segment holds.",
    "exit_code": "The exit code of the process.",
    "head": "The last revision that etcd has.",
    "hint": "What to do about it.",
    "keys": "How many keys the state holds.",
    "mode": "What the gateway runs on: `etcd` or `standalone`.",
    "object": "Name of the object, below the archive's root.",
    "objects": "How many objects were deleted.",
    "operation": "What was asked of the store.",
    "path": "The file's path.",
    "prefix": "The prefix that is recorded.",
    "reason": "Why the history is not continuous, as in `epoch.json`.",
    "retry_in_s": "Seconds until the next attempt.",
    "revision": "etcd's revision that this concerns; of a capture, the last that is recorded.",
    "segments": "How many segments there are.",
    "size_bytes": "Size of the object as stored; of a spool, of all that waits in it.",
    "spool": "The folder in the spool.",
    "standby": "The process that waits.",
    "step": "How far it had come.",
    "term": "How many times the lease was taken, this time included.",
    "to": "What the gateway is turned to: `etcd` or `standalone`.",
    "updated": "How many keys were updated.",
    "version": "etcd's version.",
    "writer": "A random name of the writer for this term.",
}
"""The fields of single events."""

_FILE = ("path", "cause")
_SIZED = ("revision", "size_bytes")
_AGAIN = ("cause", "retry_in_s")

EVENTS: Final = (
    Event("source.connected", "info", "etcd answers.", ("cluster_id", "version", "head")),
    Event(
        "source.empty", "warning", "etcd holds no key at all: there is nothing to record yet.", ("prefix",)
    ),
    Event("file.missing", "warning", "A file of `instance.files` isn't there, or no longer.", _FILE),
    Event(
        "file.unreadable", "warning", "One can't be read. What was recorded stays: it is no delete.", _FILE
    ),
    Event("file.restless", "warning", "One is written all the time: it is recorded as it is.", _FILE),
    Event("latest.stored", "info", "The newest state in plain form is stored.", ("object", *_SIZED)),
    Event("latest.missed", "warning", "It couldn't be; the one before stays meanwhile.", ("object", *_AGAIN)),
    Event(
        "spool.none",
        "warning",
        "`capture.spool` isn't set: what the store doesn't have waits in memory, and a crash during an "
        "outage loses what etcd compacts meanwhile.",
    ),
    Event(
        "store.unconditional",
        "error",
        "The store overwrites objects that are there. Two writers would destroy each other's log: none "
        "may stand by.",
    ),
    Event(
        "standby.waiting",
        "info",
        "Another process writes this archive; this one takes over when that gives no more sign of life.",
        ("writer", "term"),
    ),
    Event(
        "standby.noticed",
        "info",
        "A process waits to take over; signs of life come more often from now on.",
        ("standby",),
    ),
    Event("lease.taken", "info", "It is this process's turn to write.", ("writer", "term")),
    Event("archive.created", "info", "There was no archive; now there is one.", ("archive_id", "prefix")),
    Event(
        "epoch.opened",
        "info",
        "The whole state is stored; from here the history has no holes.",
        ("epoch", "reason", "base", "keys"),
    ),
    Event(
        "gap.found",
        "warning",
        "Nobody recorded what happened between the epoch before and this one; these keys differ across it.",
        ("epoch", "reason", "created", "updated", "deleted"),
    ),
    Event(
        "capture.resumed",
        "info",
        "The log's tail is read back; recording goes on behind it.",
        ("epoch", "revision"),
    ),
    Event(
        "spool.recovered",
        "warning",
        "An earlier process had not stored all that it had recorded; the log takes that up, and goes on "
        "behind it.",
        ("segments", "revision"),
    ),
    Event(
        "spool.set_aside",
        "error",
        "Something in the spool doesn't continue the log: another epoch was opened since, or a piece "
        "before it is missing. It stays where it is; nothing else may know of it.",
        ("object", "spool"),
    ),
    Event(
        "spool.damaged",
        "error",
        "A file in the spool isn't what was written, or the disk doesn't give it back. It stays there, and "
        "is passed over.",
        ("object", "spool", "cause"),
    ),
    Event(
        "capture.delayed",
        "warning",
        "This archive can't be recorded yet: its source or its store is away. It is tried again; the others "
        "of this process are recorded.",
        ("cause", "retry_in_s"),
    ),
    Event("capture.stopped", "info", "All that was recorded is stored; the process may end."),
    Event(
        "bootstrap.restarted",
        "warning",
        "etcd compacted the revision while it was read; reading starts anew.",
        ("revision",),
    ),
    Event(
        "lineage.broken",
        "error",
        "Changes were missed for good; another epoch begins. Restores into the hole are refused.",
        ("reason", "revision"),
    ),
    Event(
        "source.unavailable",
        "warning",
        "etcd is out of reach while a new epoch is to be opened; tried again.",
        ("cause", "retry_in_s"),
    ),
    Event("watch.started", "info", "etcd sends changes.", ("after", "head")),
    Event(
        "watch.progressed", "debug", "All up to a revision has arrived, and is being recorded.", ("revision",)
    ),
    Event(
        "watch.lost",
        "warning",
        "etcd is out of reach; tried again, and nothing is lost while it keeps its history.",
        ("cause", "retry_in_s"),
    ),
    Event("segment.stored", "info", "Changes are durable.", ("object", "revision", "events", "size_bytes")),
    Event(
        "spool.full",
        "error",
        "As much waits for the store as `capture.spool_max_bytes` allows. The watch waits, and etcd keeps "
        "what it hasn't sent: until it compacts.",
        ("segments", "size_bytes"),
    ),
    Event(
        "spool.unavailable",
        "error",
        "The spool's disk doesn't take a segment: it is full, say; or a new term has no folder at all. A "
        "segment waits in memory, and the next one until that is stored.",
        ("object", "cause"),
    ),
    Event(
        "stray.removed",
        "warning",
        "A writer that had been suspended for long left an object under the log's next name. It continued "
        "no log, and this one holds all that it held.",
        ("object",),
    ),
    Event(
        "writer.fenced",
        "warning",
        "Another writer has taken over, or may do better; this process stands by. Nothing is lost.",
        ("cause",),
    ),
    Event(
        "term.failed",
        "warning",
        "It was this process's turn, and etcd or the store didn't answer, or what came was damaged; it "
        "stands by again.",
        ("cause", "retry_in_s"),
    ),
    Event("snapshot.stored", "info", "The whole state is durable.", ("object", "size_bytes")),
    Event(
        "snapshot.damaged",
        "error",
        "A snapshot isn't what was written. Recording goes on from the one before it; restores from it are "
        "refused until it is brought back or deleted.",
        ("cause",),
    ),
    Event(
        "snapshot.missed",
        "warning",
        "A snapshot could not be stored; the next one is tried as soon as one is "
        "due. Restores replay more until then.",
        ("object", "cause"),
    ),
    Event(
        "readback.failed",
        "error",
        "An object that was stored isn't what was written. Recording goes on; moments behind it can't be "
        "restored until a snapshot was stored and read back.",
        ("object", "cause"),
    ),
    Event("drill.passed", "info", "A rehearsed restore gave what was recorded.", ("revision", "duration_s")),
    Event(
        "drill.failed",
        "error",
        "A rehearsed restore failed. `replicator verify --full` tells what is damaged.",
        ("revision", "cause"),
    ),
    Event("metrics.served", "info", "Prometheus can scrape.", ("address",)),
    Event(
        "segments.merged",
        "info",
        "Small segments were merged into one object, which was read back.",
        ("object",),
    ),
    Event(
        "sources.deleted", "info", "What merged objects hold was deleted, its grace time over.", ("objects",)
    ),
    Event("archive.thinned", "info", "Retention deleted what its rule no longer keeps.", ("objects",)),
    Event(
        "housekeeping.missed",
        "warning",
        "Merging or retention could not be done; tried again when it is due next. Nothing is lost.",
        ("cause",),
    ),
    Event("checkpoint.stored", "debug", "The watermark is durable."),
    Event(
        "checkpoint.missed",
        "warning",
        "The checkpoint could not be read or replaced. It is a hint: nothing is lost. After a lease's "
        "length without one, a standby takes over.",
        ("cause",),
    ),
    Event(
        "store.retried",
        "warning",
        "The store failed once more; tried again at once.",
        ("operation", "object", "attempt", "cause"),
    ),
    Event("heartbeat.missed", "warning", "The heartbeat's URL didn't answer well.", ("cause",)),
    Event(
        "store.unavailable",
        "error",
        "The store is away. Changes wait in the spool, or in memory without one.",
        ("object", "cause", "retry_in_s"),
    ),
    *AGENT_EVENTS,
    Event(
        "run.failed",
        "error",
        "The process ends. On the console two lines say the same, and no event.",
        ("cause", "hint", "exit_code"),
    ),
)
"""All events that this version logs, in the order of a life."""

_PREAMBLE: Final = """\
# Events of the log

<!-- Written by `python -m replicator.telemetry.events`; edit replicator/telemetry/events.py. -->

`replicator run` and `replicator agent` log to stderr: lines for people, or with `--log-format json` one JSON
object a line.
`--log-level` cuts off what is below. Values of keys and settings' secrets are never logged.
"""


def reference() -> str:
    """Return the list of events and fields as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _PREAMBLE
    yield "| event | level | meaning | fields |"
    yield "|---|---|---|---|"
    for event in EVENTS:
        fields = ", ".join(f"`{name}`" for name in event.fields)
        yield f"| `{event.name}` | {event.level} | {event.meaning} | {fields} |"
    yield "\n| field | meaning |"
    yield "|---|---|"
    for name, meaning in (EVERYWHERE | FIELDS).items():
        yield f"| `{name}` | {meaning} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(reference())
