"""Surveys: what they say can be restored can be, and nothing else."""

from __future__ import annotations

import pytest
from archives import Scribe, archives
from etcd_model import EtcdModel
from generators import START
from hypothesis import given, settings
from memory_store import MemoryStore

from replicator.core.plan import AtRevision, AtTime
from replicator.errors import ArchiveDamaged
from replicator.flows.restore import restore
from replicator.flows.survey import survey


@settings(max_examples=60)
@given(archives())
def test_a_survey_says_what_can_be_restored(scribe) -> None:
    """Of a newest epoch that ends in a snapshot it may say less than is known, since it opens none."""
    seen = survey(scribe.store)
    assert len(scribe.known) == len(seen.coverage)
    for known, coverage in zip(scribe.known, seen.coverage, strict=True):
        end, stamp = known.stamps[-1]
        assert (known.number, known.stamps[0][0], end) == (
            coverage.epoch.epoch,
            coverage.epoch.base,
            coverage.end,
        )
        assert end <= coverage.reach.through_revision <= known.through.revision
        assert stamp <= coverage.reach.observed_through <= known.through.moment
        assert restore(scribe.store, AtTime(coverage.reach.observed_through)).epoch == coverage.epoch
        if coverage is not seen.coverage[-1] or coverage.snapshots[-1].revision < end:
            assert known.through.moment == coverage.reach.observed_through
        for snapshot in coverage.snapshots:
            restored = restore(scribe.store, AtTime(snapshot.observed_at))
            assert (coverage.epoch, snapshot.revision) == (restored.epoch, restored.state.revision)


def test_an_epoch_without_its_base_is_damage() -> None:
    scribe = Scribe(MemoryStore())
    scribe.open(EtcdModel(), START)
    (base,) = scribe.store.names("e00000001/snapshots/")
    scribe.store.delete(base)
    with pytest.raises(ArchiveDamaged, match=f"{base} is missing"):
        restore(scribe.store, AtRevision(1))
