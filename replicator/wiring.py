"""Put real adapters behind the flows' ports. Each is imported where it is needed: boto3 alone costs 0.3 s."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from replicator.adapters.clock import SystemClock
from replicator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from structlog.typing import FilteringBoundLogger

    from replicator.adapters.admin_api import AdminApi
    from replicator.adapters.etcd import EtcdSource
    from replicator.adapters.kms import KmsOptions
    from replicator.adapters.retrying import Retrying
    from replicator.config import ArchiveUrl, Etcd, Secret, Settings
    from replicator.flows.capture import Capture
    from replicator.flows.latest import LatestObject
    from replicator.flows.link import Link
    from replicator.ports import Keys, ObjectStore, Waiting
    from replicator.telemetry.metrics import Meter

_COMMAND_PATIENCE_S = 8.0

__all__ = [
    "SystemClock",
    "admin_api",
    "archive_of",
    "capture",
    "exposures",
    "parquet",
    "plain_store",
    "sealed",
    "source",
    "spool_trial",
    "store",
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


def store(settings: Settings, retrying: Retrying | None = None, meter: Meter | None = None) -> ObjectStore:
    """Return the store of the archive of *settings*; nothing is asked of it yet.

    Args:
        settings: Where it is, how to reach it, and how its objects are encrypted.
        retrying: How long to go on after passing faults; for a command's patience if left out.
        meter: Told of each request, and of how long it took.

    Raises:
        UsageError: No archive is named, or the key file can't be read.
    """
    plain = plain_store(archive_of(settings), settings, retrying)
    if meter is not None:
        from replicator.adapters.measured import MeasuredStore

        plain = MeasuredStore(plain, meter, SystemClock())
    return sealed(plain, settings, retrying)


def plain_store(url: ArchiveUrl, settings: Settings, retrying: Retrying | None = None) -> ObjectStore:
    """Return the store at *url*, which is reached as *settings* say; its objects are as they are."""
    if not url.bucket:
        from replicator.adapters.directory import DirectoryStore

        return DirectoryStore(Path(url.path))
    from replicator.adapters.s3 import S3Options, S3Store

    s3 = settings.s3
    options = S3Options(
        endpoint=s3.endpoint,
        region=s3.region,
        use_path_style=s3.use_path_style,
        access_key=_revealed(s3.access_key),
        secret_key=_revealed(s3.secret_key),
        sse_kms_key_id=s3.sse_kms_key_id,
    )
    return S3Store(url.bucket, url.path, options, retrying or _impatient())


def sealed(inner: ObjectStore, settings: Settings, retrying: Retrying | None = None) -> ObjectStore:
    """Return *inner* behind the encryption of *settings*; without a key it refuses sealed objects, in words.

    Raises:
        UsageError: The key file can't be read.
    """
    from replicator.adapters.key_file import FileKeys, read_key_file
    from replicator.adapters.sealed import SealedStore

    chosen = settings.encryption
    keys: Keys = FileKeys(read_key_file(Path(chosen.key_file)) if chosen.key_file else ())
    if chosen.kms_key_id is None:
        return SealedStore(inner, keys, allow_plaintext=chosen.allow_plaintext or chosen.key_file is None)
    from replicator.adapters.kms import KmsKeys

    return SealedStore(
        inner,
        KmsKeys(_kms_options(settings), keys, retrying or _impatient()),
        allow_plaintext=chosen.allow_plaintext,
    )


def exposures(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each secret of *settings* that lies open to others on this machine."""
    if settings.encryption.key_file:
        from replicator.adapters.key_file import exposure

        if told := exposure(Path(settings.encryption.key_file)):
            yield told


def _kms_options(settings: Settings) -> KmsOptions:
    from replicator.adapters.kms import KmsOptions

    chosen, s3 = settings.encryption, settings.s3
    shared = (s3.endpoint is None) == (chosen.kms_endpoint is None)
    return KmsOptions(
        key_id=chosen.kms_key_id or "",
        old_key_ids=chosen.kms_old_key_ids,
        endpoint=chosen.kms_endpoint,
        region=s3.region,
        access_key=_revealed(s3.access_key) if shared else None,
        secret_key=_revealed(s3.secret_key) if shared else None,
    )


def _revealed(secret: Secret | None) -> str | None:
    return secret.reveal() if secret else None


def _impatient() -> Retrying:
    """Somebody waits for a command's answer; the log can wait longer."""
    from replicator.adapters.retrying import Retrying

    return Retrying(total_seconds=_COMMAND_PATIENCE_S)


def parquet() -> Callable[..., bytes]:
    """Return what packs rows into a Parquet file.

    Raises:
        UsageError: pyarrow isn't installed.
    """
    from replicator.adapters.parquet import pack

    return pack


def source(etcd: Etcd) -> EtcdSource:
    """Return the etcd that *etcd* describes; it is not connected yet."""
    from replicator.adapters.etcd import EtcdOptions, EtcdSource
    from replicator.apisix.judgement import SECTIONS

    options = EtcdOptions(
        endpoints=tuple(etcd.endpoints),
        username=etcd.username or "",
        password=etcd.password.reveal() if etcd.password else "",
        cacert=etcd.cacert or "",
        cert=etcd.cert or "",
        key=etcd.key or "",
    )
    folders = [f"/{section}/" for section in SECTIONS]
    return EtcdSource(options, etcd.prefix.encode(), SystemClock(), folders)


def write_file(path: Path, chunks: Iterable[bytes]) -> None:
    """Put *chunks* at *path*, whole or not at all, mode 0600.

    Raises:
        UsageError: It can't be written there.
    """
    from replicator.adapters.output_file import write_file as write

    write(path, chunks, SystemClock())


def admin_api(url: str, key: Secret | None) -> AdminApi:
    """Return the gateway whose Admin API is at *url*; nothing is asked of it yet."""
    from replicator.adapters.admin_api import AdminApi

    return AdminApi(url, _revealed(key) or "")


def capture(
    settings: Settings,
    log: FilteringBoundLogger,
    meter: Meter | None = None,
    another_source: Callable[[Link], Link] = lambda link: link,
    latest: LatestObject | None = None,
) -> Capture:
    """Return what records the source of *settings* into its archive, and counts with *meter*.

    *another_source* may put something else in the place of etcd; *latest* is kept beside the archive.

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
    stopping = threading.Event()
    return Capture(
        partial(
            _link, another_source, _connect(settings, log.bind(archive=str(url)), meter or Silent(), stopping)
        ),
        CaptureRules(
            commit=commit,
            schedule=settings.snapshot.cron_spec,
            spool_max_bytes=rules.spool_max_bytes,
            yield_after_s=silence_s,
            housekeeping=HousekeepingRules(retention=settings.retention.rule),
            latest=latest,
        ),
        LeaseRules(silence_s, PAID if url.bucket else FREE),
        stopping,
    )


def _link(another_source: Callable[[Link], Link], connect: Callable[[], Link]) -> Link:
    return another_source(connect())


def _connect(
    settings: Settings, log: FilteringBoundLogger, meter: Meter, stopping: threading.Event
) -> Callable[[], Link]:
    """Return what gives a link of its own to each term."""
    from replicator.adapters.process import LocalPeers
    from replicator.adapters.retrying import Retrying
    from replicator.adapters.spool_folder import NoSpool, SpoolFolders
    from replicator.flows.link import Link

    def tell(operation: str, name: str, attempt: int, cause: str) -> None:
        meter.count("store_failures_total", operation=operation)
        log.warning("store.retried", operation=operation, object=name, attempt=attempt, cause=cause)

    retrying = Retrying(on_retry=tell, is_ending=stopping.is_set)
    place, spool = store(settings, retrying, meter), settings.capture.spool
    if archive_of(settings).bucket and not spool:
        log.warning("spool.none")
    return lambda: Link(
        source=source(settings.etcd),
        prefix=settings.etcd.prefix,
        store=place,
        spools=SpoolFolders(Path(spool), lambda inner: sealed(inner, settings, retrying))
        if spool
        else NoSpool(),
        peers=LocalPeers(),
        clock=SystemClock(),
        log=log,
        meter=meter,
    )


def spool_trial(settings: Settings) -> Callable[[str | None], Waiting] | None:
    """Return what tries the spool of *settings* and counts what waits in it; None without one."""
    from replicator.adapters.spool_folder import try_spool

    spool = settings.capture.spool
    return partial(try_spool, Path(spool)) if spool else None
