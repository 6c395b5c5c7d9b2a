"""Record every change, whenever it is our turn to write, until told to stop."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from uuid import uuid4

from replicator.errors import ArchiveDamaged, SourceUnavailable, StoreUnavailable, UsageError, WriterFenced
from replicator.flows.begin import examine
from replicator.flows.probe import probe
from replicator.flows.standby import LeaseRules, Standby
from replicator.flows.term import LeaseYielded, Term

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicator.errors import ReplicatorError
    from replicator.flows.link import Link
    from replicator.flows.term import CaptureRules

_RETRY_S = 2.0

# What came damaged once may have been damaged on its way; what does so again and again lies there like that.
_LOOKS_AT_DAMAGE = 3


class Capture:
    """Records into one archive, or stands by; `run` is called once, `stop` from any thread.

    Args:
        connect: Gives a link with a connection and a writer's name of its own, for each term.
        rules: What is written when.
        lease: How the lease is kept.
        stopping: Set by `stop`, for others to know.
    """

    def __init__(
        self,
        connect: Callable[[], Link],
        rules: CaptureRules,
        lease: LeaseRules,
        stopping: threading.Event | None = None,
    ) -> None:
        self._connect = connect
        self._rules = rules
        self._lease = lease
        self._stopping = stopping or threading.Event()
        self._guard = threading.Lock()
        self._term: Term | None = None
        self._damages = 0

    def stop(self) -> None:
        """Let `run` flush what has come, and return."""
        with self._guard:
            self._stopping.set()
            if self._term is not None:
                self._term.end()

    def run(self) -> None:
        """Record until `stop` is called; all that came by then is durable when this returns.

        Whoever loses the lease, or finds that another has gone on, stands by again. An etcd or a store that
        goes away later than at the start is waited for.

        Raises:
            UsageError: The archive is another prefix's, or etcd holds nothing under the prefix.
            SourceUnavailable: etcd can't be reached at the start, or refuses us.
            StoreUnavailable: The same of the store; or it is away when we are to stop.
            WriterFenced: Another writer is at work, and the store can't keep two apart.
            ArchiveDamaged: The log's tail can't be replayed, however often it is read.
        """
        link = self._connect()
        link.meter.set("is_writer", 0)
        examine(link)
        lease = self._lease
        if not probe(link.store, uuid4().hex).conditional_create:
            lease = lease.alone()
            link.log.error("store.unconditional")
        is_first = True
        while not self._stopping.is_set() and self._take_turn(link, lease, is_first=is_first):
            link, is_first = self._connect(), False
        link.log.info("capture.stopped")

    def _take_turn(self, link: Link, rules: LeaseRules, *, is_first: bool) -> bool:
        """Wait for the lease, and write while it is ours; tell whether to stand by again."""
        standby = Standby(link, rules, lambda: _answers(link), self._stopping)
        lease = standby.wait(patiently=not is_first)
        if lease is None:
            return False
        link.meter.set("is_writer", 1)
        link.meter.count("takeovers_total")
        is_start = is_first and not standby.has_waited  # somebody reads what we say
        term = Term(link, self._rules, lease, needs_spool=is_start)
        with self._guard:
            self._term = term
            if self._stopping.is_set():
                term.end()
        damages, self._damages = self._damages, 0
        try:
            term.run()
        except WriterFenced as fenced:
            if not rules.may_share:
                raise
            link.meter.count("fenced_total")
            link.log.warning("writer.fenced", cause=str(fenced))
            if isinstance(fenced, LeaseYielded):  # let whoever stands by be quicker
                self._stopping.wait(rules.silence_s)
            return True
        except (SourceUnavailable, StoreUnavailable) as error:
            if self._stopping.is_set() or (is_start and not term.has_begun):
                raise
            self._wait(link, error)
            return True
        except (ArchiveDamaged, UsageError) as damage:
            is_meant = isinstance(damage, UsageError) and is_start and not term.has_begun
            damages += 1
            if is_meant or damages == _LOOKS_AT_DAMAGE or (self._stopping.is_set() and term.has_begun):
                raise
            self._damages = damages
            self._wait(link, damage)
            return True
        finally:
            link.meter.set("is_writer", 0)
        return False

    def _wait(self, link: Link, error: ReplicatorError) -> None:
        link.log.warning("term.failed", cause=str(error), retry_in_s=_RETRY_S)
        self._stopping.wait(_RETRY_S)


def _answers(link: Link) -> bool:
    try:
        link.source.status()
    except SourceUnavailable:
        return False
    return True
