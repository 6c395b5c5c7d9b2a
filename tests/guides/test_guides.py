"""The guides say what happens if one does what they say."""

from __future__ import annotations

from pathlib import Path

from guides.undo_a_mistake import page


def test_undoing_a_mistake_goes_as_the_guide_says() -> None:
    held = (Path(__file__).parents[2] / "docs/guides/undo-a-mistake.md").read_text(encoding="utf-8")
    assert page() == held
