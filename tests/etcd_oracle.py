"""What etcd itself says, over its HTTP gateway: nothing of ours or of etcd3's in between."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from replicator.core.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from servers.etcd_json import EtcdJson


def held(etcd: EtcdJson, prefix: bytes, revision: int) -> dict[bytes, Record]:
    """Return all keys under *prefix* (which must not end in 0xff) as etcd held them at *revision*."""
    end = prefix[:-1] + bytes([prefix[-1] + 1])
    answer = etcd.ask("kv/range", key=prefix, range_end=end, revision=revision)
    return {_bytes(kv, "key"): _record(kv) for kv in answer.get("kvs", [])}


def transact(etcd: EtcdJson, changes: Iterable[tuple[bytes, bytes | None, int]]) -> int:
    """Put (key, value, lease) or delete (key, None, 0) in one transaction; return the revision."""
    operations = [_operation(*change) for change in changes]
    return int(etcd.ask("kv/txn", success=operations)["header"]["revision"])


def _operation(key: bytes, value: bytes | None, lease: int) -> dict[str, Any]:
    if value is None:
        return {"request_delete_range": {"key": _text(key)}}
    return {"request_put": {"key": _text(key), "value": _text(value), "lease": lease}}


def _record(kv: dict[str, str]) -> Record:
    numbers = (int(kv.get(name, 0)) for name in ("create_revision", "mod_revision", "version", "lease"))
    return Record(_bytes(kv, "value"), *numbers)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bytes(kv: dict[str, str], name: str) -> bytes:
    return base64.b64decode(kv.get(name, ""))
