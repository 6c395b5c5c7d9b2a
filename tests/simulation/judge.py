"""What every archive of the simulation must be: one true history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_store import MemoryStore

from replicator.core import objects
from replicator.core.merged import decode_piece
from replicator.core.plan import AtRevision, AtTime, Latest
from replicator.core.records import Position
from replicator.flows.open_archive import open_archive, pieces
from replicator.flows.restore import restore
from replicator.flows.verify_full import verify_full

if TYPE_CHECKING:
    from simulation.world import World

    from replicator.core.state import State


def judge(world: World) -> None:
    """Hold what is in the store against what etcd held."""
    store = MemoryStore()
    store.objects = world.objects
    opened = open_archive(store)
    stamps = []
    for number, epoch in enumerate(opened.epochs):
        end = opened.epochs[number + 1].follows if number + 1 < len(opened.epochs) else None
        history = recorded(store, epoch.epoch, end.position.revision if end else None)
        assert history == [
            each for each in world.etcd.history if epoch.base < each[0] <= (history or [(epoch.base,)])[-1][0]
        ], f"epoch {epoch.epoch}"
        stamps += [epoch.observed_at, *stamps_of(store, epoch.epoch, end.position.revision if end else None)]
        revisions = [epoch.base, *(revision for revision, _ in history)]
        for revision in world.kernel.chance.sample(revisions, min(6, len(revisions))):
            restored = restore(store, AtRevision(revision, epoch.epoch))
            assert restored.epoch.epoch == epoch.epoch
            assert dict(restored.state.items()) == world.etcd.states[revision], f"revision {revision}"
    assert stamps == sorted(set(stamps))
    assert verify_full(store).damages == ()
    latest = restore(store, Latest())
    assert dict(latest.state.items()) == world.etcd.states[world.etcd.head]
    told = [(promise.position, promise.observed_through) for promise in world.promises]
    assert told == sorted(told, key=lambda each: each[0]), "the log went back"
    assert [moment for _, moment in told] == sorted(moment for _, moment in told), "a promise was taken back"
    for promise in world.promises:
        if promise.position.epoch:
            answer = restore(store, AtTime(promise.observed_through))
            assert Position(answer.epoch.epoch, answer.state.revision) == promise.position, f"{promise}"


def segments(store: MemoryStore, epoch: int, until: int | None) -> list[objects.Segment]:
    """Return the segments of an epoch in order, as far as they count."""
    found: list[objects.Segment] = []
    for name in pieces(store, epoch, open_archive(store).epochs[epoch - 1].base):
        for segment in decode_piece(store.get(str(name)), name):
            end = found[-1].footer.last_revision if found else 0
            if segment.header.revision >= end and (until is None or segment.header.revision < until):
                found.append(segment)
    return found


def recorded(store: MemoryStore, epoch: int, until: int | None) -> list[tuple[int, tuple]]:
    """Return each recorded revision with its events; the log must be one chain without a hole."""
    opened = open_archive(store).epochs[epoch - 1]
    base = objects.decode_snapshot(store.get(opened.snapshot), opened.snapshot)
    state: State = base.state
    anchor, history = base.footer.anchor(base.digest), []
    for segment in segments(store, epoch, until):
        assert segment.header.revision == state.revision
        assert segment.footer.previous == anchor
        for batch in segment.batches:
            state.apply(batch)
            history.append((batch.revision, batch.events))
        assert segment.footer.state_digest == state.digest
        anchor = segment.digest
    return history


def stamps_of(store: MemoryStore, epoch: int, until: int | None) -> list:
    """Return the stamps of an epoch's batches, in order."""
    return [batch.observed_at for segment in segments(store, epoch, until) for batch in segment.batches]
