"""Put real files behind the ports, in the place of etcd."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import structs

from replicator import wiring
from replicator.adapters.clock import SystemClock
from replicator.config import Encryption
from replicator.core.file_changes import FILES, path_of
from replicator.errors import UsageError
from replicator.flows.instance import config_file
from replicator.flows.latest import CONFIG, LatestObject, with_comment

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from replicator.adapters.file_source import FileSource
    from replicator.config import Settings
    from replicator.core.state import State
    from replicator.flows.capture import Capture
    from replicator.flows.link import Link
    from replicator.ports import ObjectStore
    from replicator.telemetry.metrics import Meter


def instance_settings(settings: Settings) -> Settings | None:
    """Return the settings of the archive of the instance configuration, as its own; None without one."""
    place = settings.instance.archive
    return None if place is None else structs.replace(settings, archive=place)


def instance_store(settings: Settings) -> ObjectStore | None:
    """Return the store of the archive of the instance configuration; None if *settings* name none."""
    own = instance_settings(settings)
    return None if own is None else wiring.store(own)


def file_source(settings: Settings, log: FilteringBoundLogger | None = None) -> FileSource:
    """Return the files of the instance configuration, not read yet. *log* hears what is wrong with one."""
    from replicator.adapters.file_source import FileSource

    def tell(event: str, path: str, cause: str) -> None:
        if log is None:
            return
        match event:
            case "file.missing":
                log.warning("file.missing", path=path, cause=cause)
            case "file.unreadable":
                log.warning("file.unreadable", path=path, cause=cause)
            case "file.restless":
                log.warning("file.restless", path=path, cause=cause)

    return FileSource(settings.instance.files, SystemClock(), tell)


def capture_files(settings: Settings, log: FilteringBoundLogger, meter: Meter | None = None) -> Capture:
    """Return what records the files of *settings* into its archive, and counts with *meter*.

    Args:
        settings: As `instance_settings` gives them.
        log: Hears of the capture, and of what is wrong with a file.
        meter: Takes the metrics.

    Raises:
        UsageError: No archive is named.
    """

    def of_files(link: Link) -> Link:
        source = file_source(settings, link.log)
        return replace(link, source=source, prefix=FILES, continue_from=source.continue_from)

    return wiring.capture(settings, log, meter, of_files, latest_object(settings, CONFIG, _config))


def latest_object(
    settings: Settings, name: str, render: Callable[[State, str], bytes | None]
) -> LatestObject | None:
    """Return the object *name* beside the archive of *settings*, made by *render*; None if it isn't wanted.

    Raises:
        UsageError: It is wanted, and all else there is encrypted.
    """
    if not settings.snapshot.latest:
        return None
    chosen = settings.encryption
    if (chosen.key_file or chosen.kms_key_id) and not settings.snapshot.latest_plaintext:
        raise UsageError(
            "snapshot.latest keeps the newest state in plain text, and encryption encrypts all else",
            hint="set snapshot.latest: false; or latest_plaintext: true, if that is meant",
        )
    return LatestObject(wiring.store(structs.replace(settings, encryption=Encryption())), name, render)


def _config(state: State, line: str) -> bytes | None:
    body = config_file({path_of(key): record.value for key, record in state.items()})
    return None if body is None else with_comment(body, line)
