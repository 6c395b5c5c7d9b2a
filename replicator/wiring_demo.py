"""What `replicator demo` needs and nothing else does: an etcd of its own, and what writes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from replicator.adapters.etcd_server import EtcdServer
    from replicator.adapters.etcd_writer import EtcdWriter
    from replicator.adapters.recorder import Recorder


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
