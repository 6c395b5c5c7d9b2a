"""Where this process tells of itself: the metrics it serves, and the heartbeat it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.adapters.clock import SystemClock
from replicator.errors import UsageError
from replicator.wiring import archive_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from structlog.typing import FilteringBoundLogger

    from replicator.config import Settings
    from replicator.telemetry.metrics import Meter


def metrics(sources: Sequence[Settings], log: FilteringBoundLogger) -> Callable[[Settings], Meter]:
    """Serve the metrics of this process, if one of *sources* says where; return what gives each its meter.

    A source with a heartbeat gives that, too.

    Raises:
        UsageError: They name several addresses, or it can't be had.
    """
    meter_of = _registered(sources, log)

    def beating(settings: Settings) -> Meter:
        meter, url = meter_of(settings), settings.metrics.heartbeat
        if url is None:
            return meter
        from replicator.adapters.heartbeat import Heartbeat

        return Heartbeat(meter, url.reveal(), SystemClock(), log.bind(archive=str(archive_of(settings))))

    return beating


def _registered(sources: Sequence[Settings], log: FilteringBoundLogger) -> Callable[[Settings], Meter]:
    """Return what gives each of *sources* its meter in the registry that is served, if one is."""
    addresses = {settings.metrics.listen for settings in sources if settings.metrics.listen}
    if not addresses:
        from replicator.telemetry.metrics import Silent

        return lambda _: Silent()
    if len(addresses) > 1:
        raise UsageError(
            f"metrics.listen names several addresses: {', '.join(sorted(map(str, addresses)))}",
            hint="one process serves all its sources at one address: name it once, or everywhere alike",
        )
    from replicator.adapters.prometheus import Registry, serve

    registry, (listen,) = Registry(), addresses
    address = serve(registry, listen.host, listen.port)

    def meter_of(settings: Settings) -> Meter:
        archive = str(archive_of(settings))
        logger = log.bind(archive=archive)
        logger.info("metrics.served", address=address)
        return registry.meter(archive)

    return meter_of
