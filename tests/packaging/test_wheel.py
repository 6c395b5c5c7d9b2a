"""The wheel: what is in it, and that what pipx installs from it alone works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from email import message_from_bytes
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from replicator.cli.app import COMMANDS
from replicator.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Each module that there is, but for those that run, and the one that says itself that it needs an extra.
IMPORT_ALL = """
import importlib, pkgutil, replicator
for module in pkgutil.walk_packages(replicator.__path__, "replicator."):
    if not module.name.endswith((".__main__", ".parquet")):
        importlib.import_module(module.name)
print(replicator.__file__)
"""


def run(command: Sequence[object], **environment: object) -> str:
    """Run *command* beside no source of replicator's; return what it says."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIPX"))}
    done = subprocess.run(
        [str(word) for word in command],
        env=inherited | {name: str(value) for name, value in environment.items()},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built as pip builds it, of a copy: what an earlier build left behind isn't there."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "replicator", source / "replicator", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, source])
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"replicator-{__version__}-py3-none-any.whl"
    information = f"replicator-{__version__}.dist-info"
    with ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.startswith(f"{information}/")]
        metadata = message_from_bytes(archive.read(f"{information}/METADATA"))
        entries = archive.read(f"{information}/entry_points.txt").decode()
        for name in names:
            assert archive.read(name) == (ROOT / name).read_bytes(), name
    files = (path for path in (ROOT / "replicator").rglob("*") if path.is_file())
    assert sorted(names) == sorted(
        str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts
    )
    assert {"replicator/py.typed", "replicator/apisix/encrypt_fields.json"} < set(names)
    assert (metadata["Name"], metadata["Version"]) == ("replicator", __version__)
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    needed = [told for told in metadata.get_all("Requires-Dist", []) if "extra ==" not in told]
    assert len(needed) == len(PROJECT["dependencies"])
    assert set(metadata.get_all("Provides-Extra", [])) == PROJECT["optional-dependencies"].keys()
    assert entries.split() == ["[console_scripts]", "replicator", "=", "replicator.cli:main"]


@pytest.mark.skipif(find_spec("ensurepip") is None, reason="pipx makes virtual environments by ensurepip")
def test_what_pipx_installs_from_it_works(wheel: Path, tmp_path: Path) -> None:
    home, programs = tmp_path / "home", tmp_path / "bin"
    run(
        [sys.executable, "-m", "pipx", "install", "--backend", "pip", wheel],
        PIPX_HOME=home,
        PIPX_BIN_DIR=programs,
        PIPX_MAN_DIR=tmp_path / "man",
        PIPX_COMPLETION_DIR=tmp_path / "completion",
        PIPX_DEFAULT_PYTHON=sys.executable,
    )
    told = run([programs / "replicator", "--help"])

    assert [path.name for path in programs.iterdir()] == ["replicator"]
    assert run([programs / "replicator", "--version"]) == f"replicator {__version__}\n"
    assert [name for name in COMMANDS if f"\n  {name} " not in told] == []
    imported = run([home / "venvs/replicator/bin/python", "-c", IMPORT_ALL])
    assert Path(imported.strip()).is_relative_to(home)
