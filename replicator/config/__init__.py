"""The settings: a YAML file, the environment above it, defaults below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.config import document
from replicator.config.agent import Agent
from replicator.config.environment import override, suspects
from replicator.config.fallback import unfold
from replicator.config.reader import Reader
from replicator.config.settings import (
    S3,
    Apisix,
    Capture,
    EncryptedFields,
    Encryption,
    Etcd,
    Settings,
    Snapshot,
)
from replicator.config.values import ArchiveUrl, Secret
from replicator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "S3",
    "Agent",
    "Apisix",
    "ArchiveUrl",
    "Capture",
    "EncryptedFields",
    "Encryption",
    "Etcd",
    "Secret",
    "Settings",
    "Snapshot",
    "load",
    "suspects",
]


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings of the file at *path* with those of *environ* above them.

    Args:
        path: The YAML file; None for the environment and the defaults alone.
        environ: The environment. `suspects` tells which of its names were likely misspelt.

    Raises:
        UsageError: The file can't be read, or a setting is unknown, ill-typed or contradicts another.
    """
    root = unfold(document.read(path)) if path else document.Node({}, "the environment")
    settings = Reader(environ).section(override(root, environ), Settings)
    if settings.archive is not None and settings.archive == settings.instance.archive:
        raise UsageError(
            "archive and instance.archive are one place", hint="give each history an archive of its own"
        )
    return settings
