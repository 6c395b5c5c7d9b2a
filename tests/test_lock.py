"""requirements-dev.txt holds what pyproject.toml asks for: one version of each, by hash, from any index."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements-dev.txt"
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
ENTRY = re.compile(r"[\w.-]+==[\w.]+ ")
HASH = re.compile(r" --hash=sha256:[0-9a-f]{64}\b")


def wanted() -> list[Requirement]:
    """Return what the package needs, with what its extra dev adds, and the extras named there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    found = []
    for requirement in map(Requirement, lines):
        if requirement.name == project["name"]:
            lines += [
                line for extra in requirement.extras for line in project["optional-dependencies"][extra]
            ]
        else:
            found.append(requirement)
    return found


def entries(text: str) -> list[str]:
    """Return what *text* pins, an entry with its hashes in one line each."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [line for line in re.sub(r" \\\n *", " ", "\n".join(lines)).splitlines() if line]


def missing(asked: list[Requirement], text: str, python: str) -> list[str]:
    """Return which of *asked* the lock *text* doesn't give to *python* in one version that is admitted."""
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    pins = defaultdict(list)
    for pin in (Requirement(HASH.sub("", entry)) for entry in entries(text)):
        if pin.marker is None or pin.marker.evaluate(environment):
            pins[canonicalize_name(pin.name)].append(str(pin.specifier).removeprefix("=="))
    found = []
    for requirement in asked:
        versions = pins[canonicalize_name(requirement.name)]
        needed = requirement.marker is None or requirement.marker.evaluate(environment)
        if needed and not (len(versions) == 1 and requirement.specifier.contains(versions[0])):
            found.append(f"{requirement}: {versions}")
    return found


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_gives_what_is_asked_for(python: str) -> None:
    asked = wanted()
    assert {"boto3", "ruff", "pyarrow", "matplotlib"} <= {requirement.name for requirement in asked}
    assert missing(asked, LOCK.read_text(), python) == [], "try: make lock"


@pytest.mark.parametrize(
    ("asked", "lock", "found"),
    [
        ("Some_name>=2", "some-name==2.1 --hash=sha256:" + "0" * 64, []),
        ("some>=2", "", ["some>=2: []"]),
        ("some>=2", "some==1.9", ["some>=2: ['1.9']"]),
        ("some>=2", "some==2.0\nsome==2.1 ; python_version >= '3.11'", ["some>=2: ['2.0', '2.1']"]),
        ("some>=2", "some==2.0 ; python_version < '3.12'\nsome==1.0 ; python_version >= '3.12'", []),
        ("some>=2; python_version < '3.11'", "", []),
    ],
)
def test_a_lock_that_lags_behind_is_told(asked: str, lock: str, found: list[str]) -> None:
    assert missing([Requirement(asked)], lock, "3.11") == found


def test_each_entry_is_one_version_with_its_hashes() -> None:
    """So pip takes the very bytes that were locked, whichever index gives them."""
    found = entries(LOCK.read_text())
    assert found != []
    assert [entry for entry in found if not (ENTRY.match(entry) and HASH.search(entry))] == []


def test_the_lock_names_no_index_and_no_folder() -> None:
    text = LOCK.read_text()
    assert re.findall(r".*(?:://| @ |--(?!hash=)|[ =]\.{0,2}/).*", text) == []
    assert "via replicator (pyproject.toml)" in text
