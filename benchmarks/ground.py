"""What a question stands on: how much is measured, where its files are, which store holds archives."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from servers.ceph import REGION, Rgw, running_ceph
from servers.etcd import fetched

from benchmarks.bucket import serving
from replicator.config import load
from replicator.wiring import store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from benchmarks.rounds import Scale
    from replicator.ports import ObjectStore

Store = Literal["directory", "moto", "ceph"]


@dataclass(frozen=True)
class Place:
    """Where an archive is; *settings* say so to a replicator, as the environment names them."""

    settings: Mapping[str, str]

    @property
    def store(self) -> ObjectStore:
        """The archive's store, for this process."""
        return store(load(None, {f"REPLICATOR_{name}": value for name, value in self.settings.items()}))


@dataclass
class Ground:
    """See the module.

    Args:
        scale: How much is measured.
        folder: For this question's files.
        kind: Which store an archive is in, unless a question says otherwise.
        services: Ends the S3 services that were started.
    """

    scale: Scale
    folder: Path
    kind: Store
    services: ExitStack
    _s3: dict[str, Rgw] = field(default_factory=dict)

    def place(self, name: str, kind: Store | None = None) -> Place:
        """Return where the archive *name* is."""
        kind = kind or self.kind
        if kind == "directory":
            return Place({"ARCHIVE": f"file://{self.folder / name}"})
        server = self.service(kind)
        return in_bucket(f"s3://{server.make_bucket()}/{name}", server.endpoint, server)

    def service(self, kind: Store) -> Rgw:
        """Return the S3 service of that *kind*; it is started if nobody has asked for it before."""
        if kind not in self._s3:
            self._s3[kind] = self.services.enter_context(_SERVICES[kind]())
        return self._s3[kind]


def in_bucket(archive: str, endpoint: str, server: Rgw) -> Place:
    """Return the place *archive* in a bucket of *server*, which is reached at *endpoint*."""
    return Place(
        {
            "ARCHIVE": archive,
            "S3_ENDPOINT": endpoint,
            "S3_REGION": REGION,
            "S3_USE_PATH_STYLE": "true",
            "S3_ACCESS_KEY": server.access_key,
            "S3_SECRET_KEY": server.secret_key,
        }
    )


@contextmanager
def standing_on(scale: Scale, folder: Path, kind: Store = "directory") -> Iterator[Ground]:
    """Yield a ground; what it has started ends with the block."""
    with ExitStack() as services:
        yield Ground(scale, folder, kind, services)


@contextmanager
def _ceph() -> Iterator[Rgw]:
    with running_ceph(fetched("ceph")) as rgw:
        yield rgw


_SERVICES = {"moto": serving, "ceph": _ceph}
