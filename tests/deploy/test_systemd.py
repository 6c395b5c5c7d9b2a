"""The systemd unit: systemd's own judgement, and settings that fit it."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy/systemd/replicator.service"
ANALYZE = shutil.which("systemd-analyze") or ""
EXPOSURE = 2.5  # of 10, by systemd's own reckoning


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Return the unit with a program that is on this machine."""
    if not ANALYZE:
        pytest.skip("no systemd on this machine")
    text = UNIT.read_text(encoding="utf-8").replace("/usr/local/bin/replicator", "/bin/true")
    copy = tmp_path / UNIT.name
    copy.write_text(text)
    return copy


def test_systemd_takes_it(unit: Path) -> None:
    done = subprocess.run([ANALYZE, "verify", unit], capture_output=True, text=True, check=False)
    assert "replicator.service" not in done.stderr, done.stderr


def test_it_is_hardened(unit: Path) -> None:
    command = [ANALYZE, "security", "--offline=yes", f"--threshold={EXPOSURE * 10:.0f}", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:] + done.stderr


def test_it_ends_in_peace_and_starts_again() -> None:
    parsed = configparser.RawConfigParser(strict=False)
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read_string(UNIT.read_text(encoding="utf-8"))
    service = parsed["Service"]
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("always", "2")
    assert int(service["TimeoutStopSec"]) >= 30
    assert service["StateDirectory"] == "replicator"
    assert "-c /etc/replicator/replicator.yaml" in service["ExecStart"]
