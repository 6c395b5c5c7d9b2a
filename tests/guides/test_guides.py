"""The guides say what happens if one does what they say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from guides import quick_start, undo_a_mistake

if TYPE_CHECKING:
    from types import ModuleType

GUIDES = Path(__file__).parents[2] / "docs/guides"


@pytest.mark.parametrize(
    ("name", "module"), [("quick-start.md", quick_start), ("undo-a-mistake.md", undo_a_mistake)]
)
def test_it_goes_as_the_guide_says(name: str, module: ModuleType) -> None:
    assert module.page() == (GUIDES / name).read_text(encoding="utf-8")
