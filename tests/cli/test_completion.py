"""Shell completion: bash itself, on a terminal, with what docs/guides/completion.md says to put into it."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from servers.command import until
from servers.etcd import ROOT

from replicator.cli.app import COMMANDS
from replicator.cli.app import replicator as program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = (ROOT / "docs/guides/completion.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
CASES = re.findall(r"^\| `(replicator .*)` \| (.+) \|$", PAGE, re.MULTILINE)
BASH = shutil.which("bash")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a user's home, with a `replicator` on PATH that notes how it was called, unless it completes."""
    (tmp_path / "bin").mkdir()
    path = tmp_path / "bin/replicator"
    path.write_text(
        "#!/bin/sh\n"
        f'[ -n "$_REPLICATOR_COMPLETE" ] && exec {sys.executable} -m replicator "$@"\n'
        f"printf '%s\\n' \"$*\" >> {tmp_path}/calls\n"
    )
    path.chmod(0o755)
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    """Return the environment of that user's shells."""
    path = f"{home / 'bin'}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "PYTHONPATH": str(ROOT), "TERM": "dumb", "LC_ALL": "C.UTF-8"}


class Terminal:
    """A bash that believes somebody types to it."""

    def __init__(self, home: Path, begin: str) -> None:
        self._home = home
        self._keys, shell = pty.openpty()
        self._log = home / "screen"
        self._process = subprocess.Popen(
            [str(BASH), "--noprofile", "--norc", "-i"],
            cwd=home,
            env=environment(home),
            stdin=shell,
            stdout=shell,
            stderr=shell,
            start_new_session=True,
        )
        os.close(shell)
        self.type(f"{begin}\n")

    def type(self, keys: str) -> None:
        """Press *keys*."""
        os.write(self._keys, keys.encode())

    def called(self, keys: str) -> str:
        """Press *keys* and the Enter key; return the arguments that `replicator` was called with."""
        before = self._calls()
        self.type(f"{keys}\n")
        until(lambda: len(self._calls()) > len(before), f"{keys!r} is a call; it was {self._calls()}")
        return self._calls()[-1]

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        os.close(self._keys)

    def _calls(self) -> list[str]:
        path = self._home / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def terminal(home: Path) -> Iterator[Terminal]:
    """Return a terminal with the line for `~/.bashrc`."""
    if BASH is None:
        pytest.skip("there is no bash")
    (line,) = [text for language, text in BLOCKS if language == "bash" and text.startswith("eval ")]
    terminal = Terminal(home, line.strip())
    yield terminal
    terminal.end()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("res\t", "restore"),
        ("--log-f\tj\t", "--log-format json"),
        ("--log-level w\t", "--log-level warning"),
        ("-c repl\tcheck", "-c replicator.yaml check"),
        ("restore --format y\t", "restore --format yaml"),
        ("restore --allo\t", "restore --allow-gap"),
        ("restore --latest -o out\t", "restore --latest -o out.yaml"),
        ("restore --keyring keys/o\t", "restore --keyring keys/one.yaml"),
        ("point a\t", "point add"),
        ("demo --keep ke\t", "demo --keep keys/"),
        ("nothing\t", "nothing"),
    ],
)
def test_bash_completes(home: Path, terminal: Terminal, typed: str, completed: str) -> None:
    (home / "keys").mkdir()
    for name in ("replicator.yaml", "out.yaml", "keys/one.yaml"):
        (home / name).touch()

    assert terminal.called(f"replicator {typed}").rstrip() == completed


def completions(line: str, home: Path) -> list[str]:
    """Return what bash is told when TAB is pressed behind *line*; "file" for files."""
    words = line.split(" ")
    told = subprocess.run(
        [home / "bin/replicator"],
        env=environment(home)
        | {
            "_REPLICATOR_COMPLETE": "bash_complete",
            "COMP_WORDS": "\n".join(words),
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(word.removeprefix("plain,") for word in told.split())


def test_the_pages_cases_are_so(home: Path) -> None:
    assert len(CASES) == 4
    for line, expected in CASES:
        found = completions(line, home)
        assert found == (["file,repl"] if expected == "replicator.yaml" else expected.split()), line


def test_commands_are_completed_without_being_imported(home: Path) -> None:
    assert completions("replicator ", home) == sorted(COMMANDS)
    code = (
        "import sys; from replicator.cli.app import *; import click;"
        "found = replicator.shell_complete(click.Context(replicator), '');"
        "print(len(found), found[0].help, sum('_command' in name for name in sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert told.stdout == f"{len(COMMANDS)} {COMMANDS['run']} 0\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_page_writes_the_script_of_each_shell(home: Path, shell: str) -> None:
    (text,) = [text for language, text in BLOCKS if language == shell and "mkdir" in text]
    subprocess.run(["/bin/sh", "-euc", text], env=environment(home), check=True)
    (written,) = re.findall(r"> ~/(\S+)", text)
    source = CliRunner().invoke(
        program, [], prog_name="replicator", env={"_REPLICATOR_COMPLETE": f"{shell}_source"}
    )

    assert (home / written).read_text() == source.output
    assert "_replicator_completion" in source.output


def test_what_bash_completion_loads_is_a_script_of_bash(home: Path) -> None:
    if BASH is None:
        pytest.skip("there is no bash")
    (text,) = [text for language, text in BLOCKS if language == "bash" and "mkdir" in text]
    check = f"{text}\n. ~/.local/share/bash-completion/completions/replicator; complete -p replicator"
    told = subprocess.run(
        [BASH, "-euc", check], env=environment(home), capture_output=True, text=True, check=True
    )

    assert told.stdout == "complete -o nosort -F _replicator_completion replicator\n"
