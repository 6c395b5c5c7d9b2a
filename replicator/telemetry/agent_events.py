"""The events of `replicator agent`."""

from __future__ import annotations

from typing import Final

from replicator.telemetry.event import Event

AGENT_EVENTS: Final = (
    Event("agent.started", "info", "The agent is at work.", ("mode",)),
    Event("agent.stopped", "info", "It has ended in order; the gateway goes on with what it has.", ("mode",)),
    Event("agent.asked", "warning", "Somebody has asked the agent for something by hand.", ("command",)),
    Event(
        "agent.troubled",
        "error",
        "The agent can't do what it should; it tries again.",
        ("cause",),
    ),
    Event(
        "agent.unshared",
        "error",
        "What a gateway must share with its control plane can't be fetched or used; it has the one before, "
        "or its own settings.",
        ("cause",),
    ),
    Event(
        "copy.written",
        "info",
        "The gateway's file has a newer state of the archive.",
        ("epoch", "revision", "size_bytes"),
    ),
    Event(
        "copy.failed",
        "error",
        "The file can't be kept fresh; what is there stays, and it is tried again.",
        ("cause",),
    ),
    Event("copy.recovered", "info", "The file is kept fresh again.", ("revision",)),
    Event(
        "copy.held_back",
        "error",
        "A change deletes so much that it is kept from the gateway until it has lasted or is confirmed.",
        ("revision", "cause"),
    ),
    Event(
        "copy.stale",
        "error",
        "The configuration is older than `agent.max_age`.",
        ("age_s",),
    ),
    Event("switch.begun", "warning", "The gateway is being turned.", ("to", "cause")),
    Event("switch.done", "warning", "The gateway was turned, and is ready.", ("mode",)),
    Event(
        "switch.failed",
        "error",
        "The gateway can't be changed, doesn't reload, or doesn't get ready; the switch is undone. *to* is "
        "`etcd` for the undo of a failover.",
        ("to", "cause"),
    ),
    Event("switch.undone", "warning", "The gateway has what it had before.", ("mode", "cause")),
    Event(
        "switch.resumed",
        "warning",
        "A switch was left under way, by a kill or a full disk; it is finished, or undone.",
        ("to", "step"),
    ),
)
"""In the order of a life."""
