"""The copy of a gateway beside an archive that is written: all in memory, on a stepped clock."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from archives import Scribe, quiet_log
from etcd_model import EtcdModel
from generators import START
from servers.clock import SteppedClock
from spools import Outage

from replicator.apisix import Options
from replicator.core.records import Batch
from replicator.core.wipe_guard import WipeRule
from replicator.errors import UsageError
from replicator.flows.copy import Copy, CopyRules
from replicator.flows.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Sequence

RULES = CopyRules(Options, "/apisix", "yaml", WipeRule(0.5, timedelta(minutes=10)))


class Disk:
    """A home and a target in memory; *written* holds each file that the gateway was given."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.written: list[bytes] = []
        self.is_full = False

    def read(self, name: str) -> bytes | None:
        """Return the file."""
        return self.files.get(name)

    def write(self, name: str, body: bytes) -> None:
        """Write the file."""
        self.files[name] = body

    def remove(self, name: str) -> None:
        """Remove the file."""
        self.files.pop(name, None)

    def digest(self) -> str:
        """Return that of the last file."""
        return hashlib.sha256(self.written[-1]).hexdigest() if self.written else ""

    def put(self, chunks: Sequence[bytes]) -> None:
        """Take a file."""
        if self.is_full:
            raise UsageError("can't write apisix.yaml: no space left on device")
        self.written.append(b"".join(chunks))


class Story:
    """An etcd, its archive, and the copy of a gateway beside it."""

    def __init__(self, rules: CopyRules = RULES) -> None:
        self.rules = rules
        self.etcd, self.clock, self.disk = EtcdModel(), SteppedClock(), Disk()
        self.store = Outage()
        self.scribe = Scribe(self.store)
        routes = [(b"/apisix/routes/%d" % number, b'{"uri":"/%d"}' % number, 0) for number in range(6)]
        self.etcd.transact(routes)
        self.scribe.open(self.etcd, START)
        self.copy = self.started()

    def started(self) -> Copy:
        """Return a copy as a new process makes it."""
        log, self.log = quiet_log()
        return Copy(Tail(self.store, self.clock), self.disk, self.disk, self.rules, self.clock, log)

    def record(self) -> None:
        """Let the last change be in the archive, which may be away from the gateway alone."""
        is_away, self.store.is_away = self.store.is_away, False
        revision, events = self.etcd.history[-1]
        self.scribe.append([Batch(revision, START + timedelta(seconds=revision), events)])
        self.store.is_away = is_away

    def put(self, key: bytes, value: bytes) -> None:
        """Change a key, and record that."""
        self.etcd.put(key, value)
        self.record()

    def wipe(self, but: int) -> None:
        """Delete all routes but so many."""
        for number in range(but, 6):
            self.etcd.delete(b"/apisix/routes/%d" % number)
            self.record()

    def said(self, event: str) -> int:
        """Return how often it has logged *event*."""
        return len([entry for entry in self.log.entries if entry["event"] == event])


def routes(file: bytes) -> int:
    """Return how many routes *file* has."""
    return file.count(b'"uri"')
