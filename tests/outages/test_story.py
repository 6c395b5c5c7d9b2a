"""Troubles of every kind around a gateway and its agent: no request fails because of them.

`OUTAGE_SEED=n OUTAGE_SECONDS=s pytest tests/outages` tells another story, or a longer one, and
`make outages` tells many.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from outages.story import Plan, told

if TYPE_CHECKING:
    from pathlib import Path

SEED = int(os.environ.get("OUTAGE_SEED", "1"))
SECONDS = float(os.environ.get("OUTAGE_SECONDS", "12"))


def test_no_request_fails(tmp_path: Path, etcd_binary: Path) -> None:
    plan = Plan(SEED, SECONDS, tmp_path, etcd_binary)
    outcome = told(plan)
    assert outcome.is_good, f"{plan}: {outcome}"
    assert outcome.troubles
    assert outcome.asked
