"""Put real adapters behind the flows' ports. Each is imported where it is needed: boto3 alone costs 0.3 s."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from replicator.adapters.clock import SystemClock
from replicator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from structlog.typing import FilteringBoundLogger

    from replicator.adapters.etcd import EtcdSource
    from replicator.adapters.etcd_server import EtcdServer
    from replicator.adapters.etcd_writer import EtcdWriter
    from replicator.adapters.recorder import Recorder
    from replicator.config import S3, ArchiveUrl, Etcd, Settings
    from replicator.flows.capture import Capture
    from replicator.flows.link import Link
    from replicator.ports import ObjectStore
    from replicator.telemetry.metrics import Meter

_COMMAND_PATIENCE_S = 8.0

__all__ = [
    "SystemClock",
    "archive_of",
    "capture",
    "etcd_writer",
    "metrics",
    "recorder",
    "source",
    "store",
    "throwaway_etcd",
    "write_file",
]


def archive_of(settings: Settings) -> ArchiveUrl:
    """Return where the archive is.

    Raises:
        UsageError: Nobody said it.
    """
    if settings.archive is None:
        raise UsageError(
            "no archive is named",
            hint="say --archive file:///dir or s3://bucket/path, or set `archive` in the file given by -c",
        )
    return settings.archive


def store(
    url: ArchiveUrl, s3: S3, on_retry: Callable[[str, str, int, str], None] | None = None
) -> ObjectStore:
    """Return the store at *url*; nothing is asked of it yet. *on_retry* hears of passing faults."""
    if not url.bucket:
        from replicator.adapters.directory import DirectoryStore

        return DirectoryStore(Path(url.path))
    from replicator.adapters.retrying import Retrying
    from replicator.adapters.s3 import S3Options, S3Store

    options = S3Options(
        endpoint=s3.endpoint,
        region=s3.region,
        use_path_style=s3.use_path_style,
        access_key=s3.access_key.reveal() if s3.access_key else None,
        secret_key=s3.secret_key.reveal() if s3.secret_key else None,
        sse_kms_key_id=s3.sse_kms_key_id,
    )
    # Somebody waits for a command's answer; the log can wait longer.
    retrying = Retrying(on_retry=on_retry) if on_retry else Retrying(total_seconds=_COMMAND_PATIENCE_S)
    return S3Store(url.bucket, url.path, options, retrying)


def source(etcd: Etcd) -> EtcdSource:
    """Return the etcd that *etcd* describes; it is not connected yet."""
    from replicator.adapters.etcd import EtcdOptions, EtcdSource

    options = EtcdOptions(
        endpoints=tuple(etcd.endpoints),
        username=etcd.username or "",
        password=etcd.password.reveal() if etcd.password else "",
        cacert=etcd.cacert or "",
        cert=etcd.cert or "",
        key=etcd.key or "",
    )
    return EtcdSource(options, etcd.prefix.encode(), SystemClock())


def write_file(path: Path, chunks: Iterable[bytes]) -> None:
    """Put *chunks* at *path*, whole or not at all, mode 0600.

    Raises:
        UsageError: It can't be written there.
    """
    from replicator.adapters.output_file import write_file as write

    write(path, chunks, SystemClock())


def metrics(sources: Sequence[Settings], log: FilteringBoundLogger) -> Callable[[Settings], Meter]:
    """Serve the metrics of this process, if one of *sources* says where; return what gives each its meter.

    Raises:
        UsageError: They name several addresses, or it can't be had.
    """
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


def capture(settings: Settings, log: FilteringBoundLogger, meter: Meter | None = None) -> Capture:
    """Return what records the source of *settings* into its archive, and counts with *meter*.

    Raises:
        UsageError: No archive is named.
    """
    from replicator.flows.capture import Capture
    from replicator.flows.housekeeping import HousekeepingRules
    from replicator.flows.inbox import GroupCommit
    from replicator.flows.lease import FREE, PAID
    from replicator.flows.standby import LeaseRules
    from replicator.flows.term import CaptureRules
    from replicator.telemetry.metrics import Silent

    rules, url = settings.capture, archive_of(settings)
    silence_s = rules.lease.total_seconds()
    commit = GroupCommit(rules.flush_interval.total_seconds(), rules.flush_bytes)
    return Capture(
        _connect(settings, url, log.bind(archive=str(url)), meter or Silent()),
        CaptureRules(
            commit=commit,
            schedule=settings.snapshot.cron_spec,
            spool_max_bytes=rules.spool_max_bytes,
            yield_after_s=silence_s,
            housekeeping=HousekeepingRules(retention=settings.retention.rule),
        ),
        LeaseRules(silence_s, PAID if url.bucket else FREE),
    )


def _connect(
    settings: Settings, url: ArchiveUrl, log: FilteringBoundLogger, meter: Meter
) -> Callable[[], Link]:
    """Return what gives a link of its own to each term."""
    from replicator.adapters.process import LocalPeers
    from replicator.adapters.spool_folder import NoSpool, SpoolFolders
    from replicator.flows.link import Link

    def tell(operation: str, name: str, attempt: int, cause: str) -> None:
        meter.count("store_failures_total", operation=operation)
        log.warning("store.retried", operation=operation, object=name, attempt=attempt, cause=cause)

    place, spool = store(url, settings.s3, tell), settings.capture.spool
    if url.bucket and not spool:
        log.warning("spool.none")
    return lambda: Link(
        source=source(settings.etcd),
        prefix=settings.etcd.prefix,
        store=place,
        spools=SpoolFolders(Path(spool)) if spool else NoSpool(),
        peers=LocalPeers(),
        clock=SystemClock(),
        log=log,
        meter=meter,
    )


def throwaway_etcd(folder: Path) -> EtcdServer:
    """Return an etcd of our own, on loopback and in *folder*; it is not started yet.

    Raises:
        UsageError: No etcd is installed.
    """
    from replicator.adapters.etcd_server import EtcdServer, find_etcd

    return EtcdServer(folder, find_etcd())


def etcd_writer(endpoint: str) -> EtcdWriter:
    """Return what writes to the throw-away etcd at *endpoint*."""
    from replicator.adapters.etcd_writer import EtcdWriter

    return EtcdWriter(endpoint)


def recorder(settings: Path, log: Path) -> Recorder:
    """Return a `replicator run` with the file *settings*, which logs to *log*; it is not started yet."""
    from replicator.adapters.recorder import Recorder

    return Recorder(settings, log)
