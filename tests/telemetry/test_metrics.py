"""The list of metrics: what the code counts is on it, and docs/metrics.md is made from it."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from replicator.telemetry.metrics import LABELS, METRICS, Silent, known, reference

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def used() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield name, type and labels of each call of a meter in the package."""
    for path in (ROOT / "replicator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("set", "count", "observe")
                and ast.unparse(node.func.value).split(".")[-1] in ("meter", "_meter")
            ):
                kind = {"set": "gauge", "count": "counter", "observe": "histogram"}[node.func.attr]
                labels = (keyword.arg for keyword in node.keywords if keyword.arg != "amount")
                yield ast.literal_eval(node.args[0]), kind, tuple(label for label in labels if label)


def test_what_the_code_counts_is_on_the_list() -> None:
    calls = list(used())

    assert len(calls) > 10
    for name, kind, labels in calls:
        known(name, kind, labels)


def test_names_follow_the_conventions() -> None:
    for metric in METRICS:
        assert re.fullmatch("[a-z][a-z_]*[a-z]", metric.name)
        assert (metric.type == "counter") == metric.name.endswith("_total")
        assert metric.name.endswith(("_seconds", "_bytes")) == bool(metric.unit)
        assert metric.meaning.endswith(".")
        assert set(metric.labels) <= set(LABELS)
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_a_name_that_is_on_no_list_is_a_bug() -> None:
    meter = Silent()
    meter.set("gaps", 1)
    meter.count("store_failures_total", operation="get")
    with pytest.raises(KeyError):
        meter.set("nothing", 1)
    with pytest.raises(KeyError):
        meter.set("fenced_total", 1)
    with pytest.raises(KeyError):
        meter.count("fenced_total", operation="get")
    meter.observe("store_request_duration_seconds", 1.0, operation="get", result="ok")
    with pytest.raises(KeyError):
        meter.observe("store_request_duration_seconds", 1.0, operation="get")


def test_the_committed_page_is_the_reference() -> None:
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")

    assert reference() == page, "python -m replicator.telemetry.metrics > docs/metrics.md"


def test_the_alarms_ask_for_metrics_that_there_are() -> None:
    asked = set(re.findall(r"replicator_(\w+)", reference().partition("## What to watch")[2]))

    assert asked <= {metric.name for metric in METRICS}
    assert asked
