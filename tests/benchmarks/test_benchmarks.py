"""Each question is answered, at a tiny size: what it measures still runs, and says what the report needs."""

from __future__ import annotations

from importlib import import_module
from math import isfinite
from typing import TYPE_CHECKING

import pytest

from benchmarks.__main__ import QUESTIONS
from benchmarks.bench_live import WAYS
from benchmarks.ground import standing_on
from benchmarks.plots import draw
from benchmarks.prices import LOADS
from benchmarks.report import Curve, Figure, report
from benchmarks.rounds import TINY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.usefixtures("etcd_binary")
def test_each_question_is_answered(question: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.bench_live.WAYS", WAYS[:1] + WAYS[-1:])  # each takes a second
    monkeypatch.setattr("benchmarks.bench_requests.LOADS", dict([*LOADS.items()][::2]))
    monkeypatch.setattr("benchmarks.bench_startup.ROUNDS_MORE", 1)

    with standing_on(TINY, tmp_path) as ground:
        findings = list(import_module(f"benchmarks.bench_{question}").measure(ground))

    figures = [one for one in findings if isinstance(one, Figure)]
    assert figures
    assert [figure for figure in figures if not isfinite(figure.ratio)] == []
    drawn = draw(report(findings, load_average=0.0, took_s=1.0, store="directory"), tmp_path)
    assert {one.plot for one in findings if isinstance(one, Curve)} <= set(drawn)
