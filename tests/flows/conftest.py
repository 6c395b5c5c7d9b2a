"""What the tests of flows share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replicator.flows import capture, follow, persist, term

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Wait for an outage's end in milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(persist, "_FIRST_DELAY_S", 0.001)
        patch.setattr(persist, "_LONGEST_DELAY_S", 0.01)
        patch.setattr(follow, "_FIRST_DELAY_S", 0.001)
        patch.setattr(follow, "_LONGEST_DELAY_S", 0.1)
        patch.setattr(capture, "_RETRY_S", 0.001)
        patch.setattr(term, "_RETRY_S", 0.001)
        patch.setattr(term, "_BEAT_S", 0.01)
        yield
