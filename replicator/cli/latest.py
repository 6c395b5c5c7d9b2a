"""The newest state in plain form, as `run` keeps it beside the archive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from replicator import wiring
from replicator.flows.latest import RESOURCES
from replicator.version import __version__
from replicator.wiring_instance import latest_object

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from replicator.config import Settings
    from replicator.core.state import State
    from replicator.flows.capture import Capture
    from replicator.telemetry.metrics import Meter


def capture_resources(settings: Settings, log: FilteringBoundLogger, meter: Meter | None = None) -> Capture:
    """Return what records the etcd of *settings*, and keeps its newest state as a file if that is wanted.

    Raises:
        UsageError: No archive is named, or the file is wanted where all else is encrypted.
    """

    def made(state: State, line: str) -> bytes:
        from replicator.apisix import render
        from replicator.cli.gateway import Given, options

        gateway = options(settings.apisix, Given(), _own_config(settings))
        gateway = replace(gateway, prefix=settings.etcd.prefix.rstrip("/").encode())
        rendering = render(((key, record.value) for key, record in state.items()), gateway)
        about = [line, f"Made by replicator {__version__}; state_digest {state.digest}"]
        return b"".join(rendering.chunks(about))

    return wiring.capture(settings, log, meter, latest=latest_object(settings, RESOURCES, made))


def _own_config(settings: Settings) -> bytes | None:
    """Return the gateway's config.yaml: as it lies here if it is recorded here, else as it was recorded."""
    for path in settings.instance.files:
        if PurePosixPath(path).name == "config.yaml":
            try:
                return Path(path).read_bytes()
            except OSError:
                break
    from replicator.cli.recorded_files import recorded_config

    return recorded_config(settings)
