"""Seconds of fuzzing, the same each time; ``make fuzz`` goes on for minutes, guided by coverage."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzzing.mutate import mutants
from fuzzing.targets import TARGETS, Target, yaml_target

FOUND = Path(__file__).parent / "found"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_any_bytes_decode_or_are_damage(target: Target) -> None:
    _fuzz(target, 1500)


def test_any_value_is_rendered_as_lyaml_reads_it(lyaml) -> None:
    _fuzz(yaml_target(lyaml), 1000)


def _fuzz(target: Target, count: int) -> None:
    """Try what was found before, the seeds themselves, and *count* mutants."""
    found = [path.read_bytes() for path in sorted((FOUND / target.name).glob("*"))]
    for data in [*target.seeds, *found, *mutants(target.seeds + found, count, seed=1)]:
        try:
            target.check(data)
        except Exception as failure:
            raise AssertionError(f"{target.name} fails for {data!r}") from failure
