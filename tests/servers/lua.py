"""APISIX's own YAML parser: lyaml, on the Lua 5.1 for which it was packaged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from servers.etcd import ROOT, fetched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

sys.setrecursionlimit(10_000)  # values nest up to 1,000 levels deep, and json and == recurse


class LyamlRefused(Exception):
    """The parser doesn't take the text; the message is its own."""


@pytest.fixture(scope="session")
def lyaml(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], Any]:
    """Return a function from the bytes of a YAML file to what lyaml reads there.

    It raises LyamlRefused. What JSON can't say comes marked, as lyaml_to_json.lua tells.
    """
    environment = os.environ | _paths(fetched("lua"))
    folder = tmp_path_factory.mktemp("lyaml")
    command = [fetched("lua") / "usr/bin/lua5.1", ROOT / "tests/tools/lyaml_to_json.lua", folder / "text"]

    def read(text: bytes) -> Any:
        (folder / "text").write_bytes(text)
        answer = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
        if answer.returncode != 0:
            raise LyamlRefused(answer.stderr.decode(errors="replace").strip())
        return json.loads(answer.stdout)

    return read


def _paths(root: Path) -> dict[str, str]:
    """Return what makes Lua find its modules and libraries below *root*."""
    modules = root / "usr/share/lua/5.1"
    libraries = next(root.glob("usr/lib/*/lua/5.1")).parents[1]
    return {
        "LUA_PATH": f"{modules}/?.lua;{modules}/?/init.lua",
        "LUA_CPATH": f"{libraries}/lua/5.1/?.so",
        "LD_LIBRARY_PATH": str(libraries),
    }
