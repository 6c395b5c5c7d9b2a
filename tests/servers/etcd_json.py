"""etcd's own HTTP gateway: its API as JSON, with nothing of ours or of etcd3's in between."""

from __future__ import annotations

import base64
import http.client
import json
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


class EtcdJson:
    """A client over one connection; for use in a `with` block."""

    def __init__(self, endpoint: str, patience_s: float = 30) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=patience_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, method: str, **arguments: object) -> Any:
        """Call *method*, such as ``kv/range``; byte strings go out as base64, as etcd wants them.

        Raises:
            AssertionError: etcd refuses it.
        """
        body = json.dumps({name: _encoded(value) for name, value in arguments.items()})
        self._connection.request("POST", f"/v3/{method}", body)
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return json.loads(text)

    def put(self, key: bytes | str, value: bytes | str, lease: int = 0) -> int:
        """Put a key; return the revision."""
        key, value = _bytes(key), _bytes(value)
        return int(self.ask("kv/put", key=key, value=value, lease=lease)["header"]["revision"])

    def delete(self, key: bytes | str, range_end: bytes | None = None) -> int:
        """Delete a key, or all from *key* up to *range_end*; return the revision."""
        bounds: Mapping[str, Any] = {"range_end": range_end} if range_end is not None else {}
        return int(self.ask("kv/deleterange", key=_bytes(key), **bounds)["header"]["revision"])

    def clear(self) -> int:
        """Delete every key; return the revision."""
        return self.delete(b"\0", b"\0")

    def grant(self, seconds: int) -> int:
        """Return a new lease."""
        return int(self.ask("lease/grant", TTL=seconds)["ID"])

    def compact(self, revision: int) -> None:
        """Let etcd forget what was before *revision*."""
        self.ask("kv/compaction", revision=revision, physical=True)


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _encoded(value: object) -> object:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
