"""What all tests share: the real servers they run against, and how long properties are tried."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = ["servers.etcd", "servers.etcd_cluster", "servers.ceph", "servers.lua", "servers.moto"]

# No deadline: the machine may be busy, and an example may start a process. A failure prints what repeats it.
settings.register_profile("replicator", deadline=None, max_examples=100, print_blob=True)
settings.load_profile("replicator")
