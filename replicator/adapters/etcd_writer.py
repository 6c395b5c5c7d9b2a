"""Put and delete keys of a throw-away etcd, by the road that APISIX takes: etcd's JSON over HTTP.

For `replicator demo` alone. What writes to somebody's etcd is `EtcdSource.transact`.
"""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from replicator.errors import SourceUnavailable

_TIMEOUT_S = 5


class EtcdWriter:
    """Writes to the one node at *endpoint* (``http://host:port``), which asks for no password."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def put(self, key: bytes, value: bytes, lease: int = 0) -> int:
        """Set *key* to *value*, on *lease* if that isn't 0; return the revision.

        Raises:
            SourceUnavailable: etcd doesn't answer, or refuses.
        """
        return self._revision("kv/put", key=_text(key), value=_text(value), lease=lease)

    def delete(self, key: bytes) -> int:
        """Remove *key*; return etcd's revision, a new one if there was such a key.

        Raises:
            SourceUnavailable: etcd doesn't answer, or refuses.
        """
        return self._revision("kv/deleterange", key=_text(key))

    def grant(self, ttl_s: int) -> int:
        """Return a new lease, whose keys etcd removes after *ttl_s* seconds.

        Raises:
            SourceUnavailable: etcd doesn't answer, or refuses.
        """
        return int(self._post("lease/grant", TTL=ttl_s)["ID"])

    def _revision(self, path: str, **request: Any) -> int:
        return int(self._post(path, **request)["header"]["revision"])

    def _post(self, path: str, **request: Any) -> Any:
        with closing(HTTPConnection(urlsplit(self._endpoint).netloc, timeout=_TIMEOUT_S)) as connection:
            try:
                connection.request("POST", f"/v3/{path}", json.dumps(request))
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, HTTPException) as error:
                raise SourceUnavailable(f"etcd at {self._endpoint}: {error}") from None
        if answer.status != 200:
            raise SourceUnavailable(f"etcd at {self._endpoint} answers {answer.status} to {path}")
        return json.loads(body)


def _text(data: bytes) -> str:
    return b64encode(data).decode()
