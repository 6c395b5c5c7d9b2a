"""A source and the archive that it is recorded into: what all parts of a capture share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from replicator.telemetry.metrics import Silent

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from replicator.core.state import State
    from replicator.ports import Clock, ObjectStore, Peers, Source, Spools
    from replicator.telemetry.metrics import Meter


@dataclass(frozen=True, slots=True)
class Link:
    """Records *prefix* of *source* into *store*, by way of *spools*; *writer* is a random name for one term.

    *peers* tells of other writers' processes. *continue_from* hears where the archive ends, its state and the
    revision up to which everything is known, before that is followed: a source without revisions of its own
    counts on from there.
    """

    source: Source
    prefix: str
    store: ObjectStore
    spools: Spools
    peers: Peers
    clock: Clock
    log: FilteringBoundLogger
    writer: str = field(default_factory=lambda: uuid4().hex)
    meter: Meter = field(default_factory=Silent)
    continue_from: Callable[[State, int], None] = lambda state, revision: None  # noqa: ARG005
