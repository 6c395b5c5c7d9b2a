"""The command line itself: what all commands share."""

from __future__ import annotations

import pytest
from servers.command import replicator

from replicator.cli.app import COMMANDS
from replicator.version import __version__


def test_without_a_command_the_help_is_shown_as_a_mistake() -> None:
    outcome = replicator()
    assert outcome.code == 2
    assert outcome.out == b""
    assert outcome.err.startswith("Usage: replicator [OPTIONS] COMMAND")


def test_version() -> None:
    assert replicator("--version").out.decode() == f"replicator {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str) -> None:
    outcome = replicator(command, "-h")
    assert outcome.code == 0
    assert outcome.out.startswith(f"Usage: replicator {command}".encode())
    assert outcome.err == ""


def test_the_help_lists_each_command() -> None:
    listed = replicator("--help").out.decode().partition("Commands:\n")[2]
    assert [line.split()[0] for line in listed.splitlines()] == list(COMMANDS)


def test_a_misspelt_variable_is_told() -> None:
    outcome = replicator("status", env={"REPLICATOR_ARCHIV": "file:///nowhere"})
    assert "REPLICATOR_ARCHIV is no setting: is REPLICATOR_ARCHIVE meant?" in outcome.err
    assert outcome.code == 2
