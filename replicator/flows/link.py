"""A source and the archive that it is recorded into: what all parts of a capture share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from replicator.telemetry.metrics import Silent

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from replicator.ports import Clock, ObjectStore, Peers, Source, Spools
    from replicator.telemetry.metrics import Meter


@dataclass(frozen=True, slots=True)
class Link:
    """Records *prefix* of *source* into *store*, by way of *spools*; *writer* is a random name for one term.

    *peers* tells of other writers' processes.
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
