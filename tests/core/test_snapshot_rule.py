"""When a snapshot is worth its bytes."""

from __future__ import annotations

from replicator.core.snapshot_rule import tail_outweighs


def test_a_tail_outweighs_beyond_half_of_the_state_and_the_floor() -> None:
    mib = 1 << 20
    assert not tail_outweighs(mib, 0)
    assert tail_outweighs(mib + 1, 0)
    assert not tail_outweighs(50 * mib, 100 * mib)
    assert tail_outweighs(50 * mib + 1, 100 * mib)
