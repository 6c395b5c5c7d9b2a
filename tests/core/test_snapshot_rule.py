"""When a snapshot is worth its bytes."""

from __future__ import annotations

from replicator.core.snapshot_rule import tail_outweighs


def test_a_tail_outweighs_beyond_half_of_the_state_and_the_floor() -> None:
    floor = 8 << 20
    assert not tail_outweighs(floor, 0)
    assert tail_outweighs(floor + 1, 0)
    assert not tail_outweighs(50 * floor, 100 * floor)
    assert tail_outweighs(50 * floor + 1, 100 * floor)
