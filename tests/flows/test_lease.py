"""The lease without threads: what its holder does about what it finds in the checkpoint."""

from __future__ import annotations

from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING

import pytest
from archives import link_of, quiet_log
from memory_store import MemoryStore
from servers.clock import SteppedClock

from replicator.core import names, objects
from replicator.core.names import LogName
from replicator.core.objects import Header, SegmentFooter
from replicator.core.records import Batch, Position, Record
from replicator.core.records import Event as Change
from replicator.errors import StoreUnavailable, WriterFenced
from replicator.flows.append import Appender
from replicator.flows.lease import PAID, look
from replicator.flows.persist import Persistence
from replicator.flows.standby import LeaseRules, Standby
from replicator.flows.tip import Watermark

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicator.flows.link import Link

RULES = LeaseRules(30.0, PAID)


class Bench:
    """A store, a clock that stands still, and writers that take the lease."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = SteppedClock()
        self.log, _ = quiet_log()

    def link(self, writer: str) -> Link:
        """Return a link of *writer*'s."""
        return link_of(self.store, self.clock, self.log, writer)

    def standby(self, writer: str, rules: LeaseRules = RULES) -> Standby:
        """Return who waits for the lease as *writer*."""
        return Standby(self.link(writer), rules, lambda: True, Event())


@pytest.mark.parametrize("body", [None, b"rubbish"])
def test_a_checkpoint_that_is_lost_is_written_anew_before_anybody_takes_it_for_free(body) -> None:
    bench = Bench()
    lease = bench.standby("one").wait()
    assert lease is not None
    lease.consider(None)
    bench.store.delete(names.CHECKPOINT)
    if body:
        bench.store.create(names.CHECKPOINT, body)
    bench.clock.sleep(RULES.silence_s / 3)
    lease.consider(None)
    lease.consider(None)
    claim = look(bench.store).claim
    assert claim is not None
    assert claim.holder == "one"


def test_where_nobody_can_ask_for_signs_a_holder_gives_them_in_time() -> None:
    """Else a second writer, whom such a store can't keep apart, takes a holder that is idle for gone."""
    bench = Bench()
    lease = bench.standby("one", RULES.alone()).wait()
    assert lease is not None
    lease.consider(None)
    before = bench.store.get(names.CHECKPOINT)
    bench.clock.sleep(RULES.silence_s / 2)
    lease.consider(None)
    assert bench.store.get(names.CHECKPOINT) != before


class Acts(Event):
    """Does the next of *acts* when somebody waits."""

    def __init__(self, *acts: Callable[[], object]) -> None:
        super().__init__()
        self._acts = iter((*acts, self.set))

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 (nobody has to wait here)
        """Act, and return at once."""
        next(self._acts)()
        return self.is_set()


def test_who_could_not_take_a_free_lease_says_so_when_another_has_it() -> None:
    bench = Bench()
    bench.log, kept = quiet_log()
    waiting = Acts(lambda: bench.standby("other").wait())
    assert Standby(bench.link("cut off"), RULES, lambda: False, waiting).wait() is None
    assert [(entry["event"], entry["writer"]) for entry in kept.entries] == [
        ("lease.taken", "other"),
        ("standby.waiting", "other"),
    ]


def segment(previous: str) -> bytes:
    """Return a segment from revision 2 to 3 behind the one whose SHA-256 is *previous*."""
    moment = SteppedClock().now()
    header = Header(kind="segment", archive_id="a", epoch=1, revision=2, writer="w")
    footer = SegmentFooter(
        events=1,
        last_revision=3,
        through_revision=3,
        observed_at=moment,
        observed_through=moment,
        state_digest="0" * 64,
        previous=previous,
    )
    return objects.encode_segment(
        header, [Batch(3, moment, (Change(b"/k", Record(b"", 3, 3, 1, 0)),))], footer
    )


def test_nothing_is_removed_for_a_stray_by_one_whose_clock_stood_still_while_another_took_over() -> None:
    """A virtual machine was paused: what looks like a stray to its writer is the log."""
    bench = Bench()
    stale = bench.standby("stale").wait()
    assert stale is not None
    bench.store.delete(names.CHECKPOINT)
    for writer in ("one", "two"):  # term 1, given back, then term 2
        fresh = bench.standby(writer).wait()
        assert fresh is not None
        fresh.give_back(None)
    name, body = LogName(1, 2), segment("1" * 64)
    bench.store.create(str(name), body)
    persistence = Persistence(bench.link("stale"), Event(), stale)
    appender = Appender(bench.store, persistence, stale.prove, bench.log)
    with pytest.raises(WriterFenced):
        appender.append(name, segment("2" * 64), "2" * 64)
    assert bench.store.get(str(name)) == body


def test_no_epoch_is_opened_by_one_whose_clock_stood_still_while_another_took_over() -> None:
    """It would cut off all that the other has recorded since."""
    bench = Bench()
    stale = bench.standby("stale").wait()
    assert stale is not None
    stale.give_back(None)
    fresh = bench.standby("fresh").wait()
    assert fresh is not None
    persistence = Persistence(bench.link("stale"), Event(), stale)
    persistence.create("e00000002/anything", b"isn't seen by anybody yet")
    with pytest.raises(WriterFenced):
        persistence.create("e00000002/epoch.json", b"would be", is_final=True)
    assert "e00000002/epoch.json" not in bench.store.objects


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_watermark_that_was_promised_is_not_taken_back_by_what_waits(is_lost) -> None:
    """Nor if the answer to its write was lost: whoever takes over would stamp changes before it."""
    bench = Bench()
    store = bench.store = Lossy()
    lease = bench.standby("one").wait()
    assert lease is not None
    end, start = Position(1, 5), bench.clock.now()
    lease.renew((end, Watermark(5, start)))
    store.is_lossy = is_lost
    lease.renew((end, Watermark(8, start + timedelta(seconds=3))))
    store.is_lossy = False
    lease.give_back((end, Watermark(5, start)))
    checkpoint = look(store).checkpoint
    assert checkpoint is not None
    assert (checkpoint.through_revision, checkpoint.observed_through) == (8, start + timedelta(seconds=3))


class Lossy(MemoryStore):
    """A store whose answers get lost while *is_lossy*."""

    is_lossy = False

    def replace(self, name: str, old: bytes | None, new: bytes) -> None:
        """Do as `MemoryStore`, and fail."""
        super().replace(name, old, new)
        if self.is_lossy:
            raise StoreUnavailable(f"{name}: the acknowledgement is lost")
