"""The log's events: names that alerts and dashboards may rely on. docs/events.md is made from this list.

A name says a noun and what happened to it. Values of keys are never logged.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

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
    "after": "The revision that the watch continues behind.",
    "archive_id": "Identity of the archive, as in `archive.json`.",
    "attempt": "How many attempts have failed.",
    "base": "Revision of the state that the epoch begins with.",
    "cause": "What the server said, or why there was no answer.",
    "cluster_id": "Identity of the etcd cluster.",
    "epoch": "Number of the epoch.",
    "exit_code": "The exit code of the process.",
    "head": "The last revision that etcd has.",
    "hint": "What to do about it.",
    "keys": "How many keys the state holds.",
    "object": "Name of the object, below the archive's root.",
    "objects": "How many objects were deleted.",
    "operation": "What was asked of the store.",
    "prefix": "The prefix that is recorded.",
    "reason": "Why the history is not continuous, as in `epoch.json`.",
    "retry_in_s": "Seconds until the next attempt.",
    "revision": "etcd's revision that this concerns; of a capture, the last that is recorded.",
    "revisions": "How many revisions the segment holds.",
    "size_bytes": "Size of the object as stored.",
    "version": "etcd's version.",
}
"""The fields of single events."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event: what it means, and the fields that it has beside those of `EVERYWHERE`."""

    name: str
    level: Literal["debug", "info", "warning", "error"]
    meaning: str
    fields: tuple[str, ...] = ()


EVENTS: Final = (
    Event("source.connected", "info", "etcd answers.", ("cluster_id", "version", "head")),
    Event(
        "source.empty", "warning", "etcd holds no key at all: there is nothing to record yet.", ("prefix",)
    ),
    Event("archive.created", "info", "There was no archive; now there is one.", ("archive_id", "prefix")),
    Event(
        "epoch.opened",
        "info",
        "The whole state is stored; from here the history has no holes.",
        ("epoch", "reason", "base", "keys"),
    ),
    Event(
        "capture.resumed",
        "info",
        "The log's tail is read back; recording goes on behind it.",
        ("epoch", "revision"),
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
        "watch.lost",
        "warning",
        "etcd is out of reach; tried again, and nothing is lost while it keeps its history.",
        ("cause", "retry_in_s"),
    ),
    Event(
        "segment.stored", "info", "Changes are durable.", ("object", "revision", "revisions", "size_bytes")
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
        "The checkpoint could not be replaced. It is a hint: nothing is lost.",
        ("cause",),
    ),
    Event(
        "store.retried",
        "warning",
        "The store failed once more; tried again at once.",
        ("operation", "object", "attempt", "cause"),
    ),
    Event(
        "store.unavailable",
        "error",
        "The store is away. Changes wait in memory and are not durable yet.",
        ("object", "cause", "retry_in_s"),
    ),
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

`replicator run` logs to stderr: lines for people, or with `--log-format json` one JSON object a line.
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
