"""A random life of an etcd: changes within the prefix and beside it, of every kind that etcd knows."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

from etcd_oracle import transact

if TYPE_CHECKING:
    from etcd_model import Change
    from servers.etcd_json import EtcdJson

FOLDERS = [
    b"/apisix/routes/",
    b"/apisix/ssls/",
    b"/apisix/unknown/",
    b"/apisix/\xff\xfe/",
    b"/apisix",
    b"/else/",
]


class Life:
    """Changes *etcd* at random, as *seed* has it; a *large_share* of the values is 1.5 MB."""

    def __init__(self, etcd: EtcdJson, seed: int, large_share: float = 0.01) -> None:
        self.etcd = etcd
        self._chance = random.Random(seed)
        self._large_share = large_share
        self._leases = [0]

    def change(self) -> int:
        """Make one change; return etcd's revision."""
        kinds = [self._put, self._delete, self._delete_range, self._transact, self._lease]
        (kind,) = self._chance.choices(kinds, weights=[50, 15, 5, 8, 3])
        try:
            return kind()
        except AssertionError as refused:
            assert "lease not found" in str(refused)  # noqa: PT017 (it expired while we chose)
            self._leases = [0]
            return self._put()

    def _put(self) -> int:
        return self.etcd.put(self._key(), self._value(), self._chance.choice(self._leases))

    def _delete(self) -> int:
        return self.etcd.delete(self._key())

    def _delete_range(self) -> int:
        start = self._key()
        return self.etcd.delete(start, start + b"\xff")

    def _transact(self) -> int:
        count = self._chance.choice([2, 5, 128])
        keys = sorted({self._key() for _ in range(count)})
        return transact(self.etcd, [self._part_of(key) for key in keys])

    def _part_of(self, key: bytes) -> Change:
        if self._chance.random() < 0.3:
            return key, None, 0
        return key, b"one of many", self._chance.choice(self._leases)

    def _lease(self) -> int:
        """Grant a lease for a second, which then takes its keys along; some keys may come too late for it."""
        self._leases = [0, 0, 0, self.etcd.grant(1)]
        return self._put()

    def _key(self) -> bytes:
        return self._chance.choice(FOLDERS) + b"%d" % self._chance.randrange(40)

    def _value(self) -> bytes:
        kind = self._chance.random()
        if kind < self._large_share:
            return self._chance.randbytes(1_500_000)
        if kind < 0.5:
            return json.dumps({"id": 1, "uri": "/é" * self._chance.randrange(99)}).encode()
        return self._chance.choice([b"", b"text\n", b"\x00\xff", self._chance.randbytes(2000)])
