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
    from collections.abc import Iterator
    from pathlib import Path

sys.setrecursionlimit(10_000)  # values nest up to 1,000 levels deep, and json and == recurse


class LyamlRefused(Exception):
    """The parser doesn't take the text; the message is its own."""


class Lyaml:
    """A parser under way, in a process of its own; call it with the bytes of a YAML file.

    It returns what lyaml reads there, or raises LyamlRefused. What JSON can't say comes marked, as
    lyaml_to_json.lua tells.
    """

    def __init__(self) -> None:
        root = fetched("lua")
        self._process = subprocess.Popen(
            [root / "usr/bin/lua5.1", ROOT / "tests/tools/lyaml_to_json.lua", "--serve"],
            env=os.environ | _paths(root),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __call__(self, text: bytes) -> Any:
        """Return what lyaml reads from *text*."""
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        into.write(b"%d\n%s" % (len(text), text))
        into.flush()
        verdict, length = out.readline().split()
        answer = out.read(int(length)).decode(errors="replace")
        if verdict == b"refused":
            raise LyamlRefused(answer.strip())
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=10)


@pytest.fixture(scope="session")
def lyaml() -> Iterator[Lyaml]:
    """Return the parser that all tests of a session share."""
    parser = Lyaml()
    yield parser
    parser.close()


def _paths(root: Path) -> dict[str, str]:
    """Return what makes Lua find its modules and libraries below *root*."""
    modules = root / "usr/share/lua/5.1"
    libraries = next(root.glob("usr/lib/*/lua/5.1")).parents[1]
    return {
        "LUA_PATH": f"{modules}/?.lua;{modules}/?/init.lua",
        "LUA_CPATH": f"{libraries}/lua/5.1/?.so",
        "LD_LIBRARY_PATH": str(libraries),
    }
