"""What an agent tells of itself, and what it is asked: the small files in its home."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (msgspec asks for it)
from typing import Literal, TypeAlias

import msgspec

from replicator.flows.copy_told import CopyTold  # noqa: TC001 (likewise)
from replicator.flows.journal import Journal  # noqa: TC001 (likewise)

STATUS = "status.json"
REQUEST = "request.json"
ANSWER = "answer.json"

Command: TypeAlias = Literal["failover", "failback", "pause", "resume", "confirm"]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks a running agent to do."""

    id: str
    command: Command
    is_forced: bool = False


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it: an error with its exit code, or words."""

    id: str
    said: str
    exit_code: int = 0
    hint: str = ""


class AgentTold(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says of itself.

    Attributes:
        at: When it said so.
        pid: Its process; 0 if none runs, and this is what the last one has left.
        switch: Where the switch stands; None if this agent never switches.
        copy: What is known of the copy.
        etcd_failing_s: For how long etcd has failed; 0 if it doesn't.
        etcd_healthy_s: For how long it has been well; 0 if it isn't.
        etcd_failure: What the last probe said.
        outlook: What is to be done next, or why nothing is.
        age_s: How old the configuration is; None if nobody knows.
        is_stale: Whether that is too old.
        trouble: What must be mended before an outage; empty if nothing must.
    """

    at: datetime
    pid: int
    switch: Journal | None
    copy: CopyTold
    etcd_failing_s: float = 0.0
    etcd_healthy_s: float = 0.0
    etcd_failure: str = ""
    outlook: str = ""
    age_s: float | None = None
    is_stale: bool = False
    trouble: str = ""
