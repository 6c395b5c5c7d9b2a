"""A real etcd that speaks TLS."""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING

from servers.etcd import Etcd

if TYPE_CHECKING:
    from pathlib import Path

    from certificates import Authority


class TlsEtcd(Etcd):
    """An etcd that speaks TLS alone, and where *authority* says so only to clients with its certificates."""

    def __init__(self, folder: Path, binary: Path, authority: Authority, *, is_mutual: bool) -> None:
        cert, key = authority.sign("server")
        flags = [f"--cert-file={cert}", f"--key-file={key}", "--unsafe-no-fsync"]
        if is_mutual:
            flags += ["--client-cert-auth", f"--trusted-ca-file={authority.cacert}"]
        super().__init__(folder, binary, flags)
        self._context = ssl.create_default_context(cafile=str(authority.cacert))
        self._context.load_cert_chain(*authority.sign("probe"))
        self._authority = authority

    @property
    def endpoint(self) -> str:
        """The URL for clients."""
        return f"https://127.0.0.1:{self._port}"

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=1, context=self._context)
        try:
            connection.request("GET", "/health")
            return b'"true"' in connection.getresponse().read()
        except OSError:
            return False
        finally:
            connection.close()

    def ctl_as(self, user: str, *arguments: str) -> bytes:
        """Run etcdctl with a certificate in the name of *user*."""
        cert, key = self._authority.sign(user)
        return self.ctl(f"--cacert={self._authority.cacert}", f"--cert={cert}", f"--key={key}", *arguments)
