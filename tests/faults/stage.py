"""The stage of a run: an etcd, an archive's store, replicas on it, a life of changes, and who observes."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from faults.replica import Replica
from faults.writing import FAILURES
from servers.command import until
from servers.etcd import Etcd
from servers.etcd_json import EtcdJson
from servers.keys import key_file

from replicator import wiring
from replicator.config import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from random import Random

    from faults.oracle import Observer
    from faults.writing import Writing
    from servers.etcd_cluster import Cluster
    from servers.proxy import FaultProxy

    from replicator.ports import ObjectStore

PREFIX = b"/apisix"

# The history that `prune` leaves; a run is longer.
RETENTION_S = 10
_ANSWERS_S = 3.0


class Service(Protocol):
    """An S3 server: moto or Ceph's."""

    endpoint: str

    def make_bucket(self) -> str:
        """Create a bucket of a fresh name, and return that."""


@dataclass
class Place:
    """Where the archive is, and what stands before it.

    Attributes:
        folder: For all files of the run.
        service: The S3 server; None for an archive in a directory.
        proxy: The proxy before it; None for a directory.
        is_encrypted: Whether its objects are.
    """

    folder: Path
    service: Service | None = None
    proxy: FaultProxy | None = None
    is_encrypted: bool = False
    bucket: str = field(init=False, default="")

    def __post_init__(self) -> None:
        """Make what must be there: a bucket, or a directory behind a link that can be turned away."""
        if self.service is not None:
            self.bucket = self.service.make_bucket()
            return
        (self.folder / "disk").mkdir()
        (self.folder / "nothing").touch()
        (self.folder / "archive").symlink_to("disk")

    def set_present(self, *, present: bool) -> None:
        """Put the directory back into its place, or a file where it was."""
        link = self.folder / "archive.new"
        link.symlink_to("disk" if present else "nothing")
        link.replace(self.folder / "archive")

    def settings(self, etcd: Sequence[str], name: str, endpoint: str = "") -> Path:
        """Write settings to the file *name*; *endpoint* is the S3 server's or its proxy's."""
        archive = f"s3://{self.bucket}/some/archive" if self.bucket else f"file://{self.folder}/archive"
        place = {"endpoint": endpoint, "region": "us-east-1", "use_path_style": True}
        keys = {"access_key": "some-id", "secret_key": "some-secret"}
        settings = {
            "etcd": {"endpoints": list(etcd), "prefix": PREFIX.decode()},
            "archive": archive,
            "s3": place | keys if endpoint else {},
            "capture": {
                "spool": f"{self.folder}/spool",
                "lease": "2s",
                "flush_interval": "20ms",
                "flush_bytes": "16KiB",
            },
            "snapshot": {"cron_spec": "@every 2s"},
            "encryption": {"key_file": str(key_file(self.folder / "keys"))} if self.is_encrypted else {},
        }
        path = self.folder / name
        path.write_text(json.dumps(settings))
        return path


class Stage:
    """All that a fault may lay hands on.

    Args:
        place: Where the archive is.
        etcd: One server, or three.
        observer: Who observes it.
        writing: Who changes it.
        chance: Decides what isn't decided yet.
        replicas: How many processes share the archive.

    Attributes:
        pace: Stretches all faults; 1 is meant for long runs.
        busy: What a fault has in hand: names of replicas, ``etcd``, ``store``.
        stopped_at: When the replicas were told to end: a lease that expires later is nobody's to record.
        counts: How often what happened.
        saved: Snapshots of etcd: file, chronicle, revision.
        pruned: The objects that were pruned.
        pruned_at: When that was, the last time.
    """

    def __init__(
        self,
        place: Place,
        etcd: Etcd | Cluster,
        observer: Observer,
        writing: Writing,
        chance: Random,
        replicas: int,
    ) -> None:
        self.place, self.etcd, self.observer, self.writing = place, etcd, observer, writing
        self.chance = chance
        self.pace = 1.0
        self.stopped_at = float("inf")
        self.busy: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.saved: list[tuple[Path, int, int]] = []
        self.pruned: dict[str, bytes] = {}
        self.pruned_at = float("-inf")
        service, proxy = place.service, place.proxy
        settings = place.settings(self.endpoints, "replicator.yaml", proxy.endpoint if proxy else "")
        self.direct = place.settings(self.endpoints, "direct.yaml", service.endpoint if service else "")
        self.replicas = [Replica(f"r{number}", place.folder, settings) for number in range(1, replicas + 1)]

    @property
    def endpoints(self) -> list[str]:
        """The URLs of etcd's members."""
        return [self.etcd.endpoint] if isinstance(self.etcd, Etcd) else self.etcd.endpoints

    @property
    def store(self) -> ObjectStore:
        """The archive's store, past the proxy."""
        return wiring.store(load(self.direct, {}))

    def writer(self) -> Replica:
        """Return the replica that took the lease last."""
        return max(self.replicas, key=lambda replica: getattr(replica.said(["lease.taken"], 0), "at", 0))

    def hands(self, needs: str) -> list[Replica] | None:
        """Return the replicas that *needs* means, none if it means something else; None if it is in hand."""
        writer = self.writer()
        others = [each for each in self.replicas if each is not writer and each.name not in self.busy]
        chosen = {
            "writer": [writer],
            "standby": [self.chance.choice(others)] if others else [],
            "replicas": self.replicas,
        }.get(needs)
        if chosen is None:
            return None if needs in self.busy else []
        is_free = chosen and not any(each.name in self.busy for each in chosen)
        return chosen if is_free else None

    def note(self, what: str) -> None:
        """Write a line into the folder's list of faults, with the test's own time."""
        with (self.place.folder / "faults.log").open("a") as notes:
            notes.write(f"{time.monotonic():.2f} {what}\n")

    def lasting(self, shortest_s: float, longest_s: float) -> float:
        """Return for how long a fault is to last."""
        return self.chance.uniform(shortest_s, longest_s) * self.pace

    def wait(self, seconds: float) -> None:
        """Let time pass; what ends by itself is started again."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
            for replica in self.replicas:
                replica.tend()

    def compact(self, share: float = 1.0) -> bool:
        """Let etcd forget a *share* of what it holds; False if it doesn't answer."""
        for endpoint in self.endpoints:
            with suppress(*FAILURES), EtcdJson(endpoint, _ANSWERS_S) as client:
                head = int(client.ask("kv/range", key=b"\0")["header"]["revision"])
                chronicle = self.observer.current
                self.observer.catch_up(head)
                before = max([limit for _, limit in chronicle.compactions], default=0)
                limit = before + round((head - before) * share)
                chronicle.compactions.append((time.monotonic(), limit))  # it may, whatever the answer
                client.compact(limit)
                return True
        return False

    def put(self, key: bytes, value: bytes) -> int:
        """Put a key as soon as etcd takes it; return the revision."""
        revisions: list[int] = []

        def is_put() -> bool:
            for endpoint in self.endpoints:
                with suppress(*FAILURES), EtcdJson(endpoint, _ANSWERS_S) as client:
                    revisions.append(client.put(key, value))
                    return True
            return False

        until(is_put, "etcd takes a key")
        return revisions[-1]
