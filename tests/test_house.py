"""The house rules that no linter holds."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 330

# A clone must work from anyone's mirror, and tell of no one's machine.
FOREIGN = re.compile(
    r"""
    \b (?: deb | ftp\.\w+ | security | snapshot ) \. debian \. org
    | \b (?: archive | security | ports ) \. ubuntu \. com
    | \b (?: files\.pythonhosted | (?: test\.)? pypi ) \. org
    | (?<! [\w.~-] ) / (?: work | farm | root | home/\w+ | opt/(?: wheels | pypi ) ) /
    """,
    re.VERBOSE,
)


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """Return the files of the repository, relative to its root."""
    if not (ROOT / ".git").exists():
        pytest.skip("only git knows which files are ours, and this is no clone")
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]  # also for a user who doesn't own the clone
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return [name for name in listed.stdout.decode().split("\0") if (ROOT / name).is_file()]


def test_no_file_names_a_mirror_or_a_machine(tracked: list[str]) -> None:
    found = []
    for name in tracked:
        text = (ROOT / name).read_bytes().decode(errors="replace")
        found += [f"{name}: {match[0]}" for match in FOREIGN.finditer(text)]
    assert found == []


def test_no_module_is_long(tracked: list[str]) -> None:
    lengths = {name: len((ROOT / name).read_text().splitlines()) for name in tracked if name.endswith(".py")}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}
