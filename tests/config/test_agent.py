"""Settings of the agent and of the instance configuration that can't be meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replicator.config import load
from replicator.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("agent: {home: here}", '1: agent: home "here" is no absolute path'),
        ("agent: {probe_interval: 1ms}", "1: agent: probe_interval must be at least 100ms"),
        ("agent: {when_stale: panic}", '1: agent.when_stale: "panic" is none of serve, refuse'),
        ("instance: {files: [/a]}", "1: instance: files are given, but no archive"),
        ("instance: {files: [a], archive: file:///a}", '1: instance: "a" is no absolute path'),
    ],
)
def test_an_agent_that_cannot_be_meant_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "replicator.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        load(path, {})
    assert str(refused.value) == f"{path}:{complaint}"
