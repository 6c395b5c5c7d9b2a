"""What the code logs is what the registry lists, and what docs/events.md says."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

from replicator.telemetry.events import EVENTS, EVERYWHERE, FIELDS, reference

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def calls() -> Iterator[ast.Call]:
    """Yield each call of a logger's method in the package: ``….log.info("noun.verb", …)``."""
    for path in (ROOT / "replicator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LEVELS
                and ast.unparse(node.func.value).split(".")[-1] in ("log", "_log", "logger", "_logger")
            ):
                yield node


def emitted() -> dict[str, tuple[str, set[str]]]:
    """Return level and fields of each event that the code logs."""
    found: dict[str, tuple[str, set[str]]] = {}
    for call in calls():
        name, level = ast.literal_eval(call.args[0]), call.func.attr  # type: ignore[attr-defined]
        fields = {keyword.arg for keyword in call.keywords if keyword.arg}
        known_level, known_fields = found.get(name, (level, set()))
        assert known_level == level, f"{name} is logged at two levels"
        found[name] = (level, known_fields | fields)
    return found


def test_what_the_code_logs_is_what_the_registry_lists() -> None:
    assert {event.name: (event.level, set(event.fields)) for event in EVENTS} == emitted()


def test_each_name_is_a_noun_and_a_past_verb() -> None:
    for event in EVENTS:
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", event.name)
    assert len({event.name for event in EVENTS}) == len(EVENTS)


def test_each_field_is_explained_and_each_explanation_is_of_use() -> None:
    used = {field for event in EVENTS for field in event.fields}

    assert used == set(FIELDS)
    assert not used & set(EVERYWHERE)


def test_the_committed_page_is_the_reference() -> None:
    page = (ROOT / "docs/events.md").read_text(encoding="utf-8")

    assert reference() == page, "python -m replicator.telemetry.events > docs/events.md"
