"""When a snapshot is worth its bytes: when the tail costs more to replay than it saves, or by schedule."""

from __future__ import annotations

# Half of the state: replay then costs at most half again of what reading the state costs anyhow, however
# long the history, and snapshots cost at most twice the log's bytes.
TAIL_SHARE = 0.5

# Below this a tail replays in some ten milliseconds, and no state is too small for it.
TAIL_FLOOR_BYTES = 8 << 20


def tail_outweighs(tail_bytes: int, state_bytes: int) -> bool:
    """Tell whether a tail of *tail_bytes* asks for a new snapshot of a state of *state_bytes*."""
    return tail_bytes > max(TAIL_FLOOR_BYTES, TAIL_SHARE * state_bytes)
