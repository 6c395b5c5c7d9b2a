"""docs/troubleshooting.md has a line for each fault; the tests that docs/reliability.md names are there."""

from __future__ import annotations

import ast
import errno
import inspect
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import botocore.exceptions
import grpc
import pytest

from replicator import errors
from replicator.adapters import etcd_connection, files, s3_errors
from replicator.errors import ReplicatorError
from replicator.telemetry.events import EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
ERRORS = {
    name
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, ReplicatorError) and kind is not ReplicatorError
} | {"LeaseYielded"}

# These judge values of settings and options; what they say is about a line of a file, and the page says so.
OF_VALUES = ("config/", "apisix/", "core/quantities.py", "core/schedule.py")


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Yield name and syntax tree of each module of the package."""
    for path in sorted((ROOT / "replicator").rglob("*.py")):
        yield str(path.relative_to(ROOT / "replicator")), ast.parse(path.read_text(encoding="utf-8"))


def parts(message: ast.expr) -> list[str]:
    """Return what is always the same of a message."""
    if isinstance(message, ast.JoinedStr):
        return [each.value for each in message.values if isinstance(each, ast.Constant)]
    return [message.value] if isinstance(message, ast.Constant) else []


def raised() -> Iterator[tuple[str, str]]:
    """Yield place and most telling part of each error that the code makes, but for those about values."""
    for name, tree in sources():
        for node in ast.walk(tree):
            is_error = isinstance(node, ast.Call) and ast.unparse(node.func) in ERRORS and node.args
            if not is_error or name.startswith(OF_VALUES):
                continue
            longest = max((part.strip() for part in parts(node.args[0])), key=len, default="")
            if re.search(r"\w", longest):  # how an object is damaged matters less than that it is
                yield f"{name}:{node.lineno}", re.sub(r"is damaged: .*", "is damaged: ", longest)


def said() -> str:
    """Return all that the code, the system, etcd's client and S3's can say, in one text."""
    texts = [
        node.value
        for _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    texts += [os.strerror(number) for number in errno.errorcode]
    texts += [os.strerror(number).lower() for number in errno.errorcode]
    texts += [code.name.lower() for code in grpc.StatusCode]
    texts += [getattr(kind, "fmt", "") for kind in vars(botocore.exceptions).values()]
    return "\n".join(texts)


def quoted() -> Iterator[str]:
    """Yield each message that stands in the first column of a table."""
    for row in re.findall(r"^\| (`.*?) \| ", PAGE, re.MULTILINE):
        yield from (double or single for double, single in re.findall(r"``\s?(.+?)\s?``|`([^`]+)`", row))


@pytest.mark.parametrize("event", [event.name for event in EVENTS if event.level in ("warning", "error")])
def test_each_event_that_warns_has_a_line(event: str) -> None:
    assert re.search(rf"^\| `{re.escape(event)}` \| .+ \| .+ \|$", PAGE, re.MULTILINE)


def test_each_exit_code_has_a_line() -> None:
    codes = {getattr(errors, name).exit_code for name in ERRORS if hasattr(errors, name)} | {0, 1, 130}

    assert {int(code) for code in re.findall(r"^\| (\d+) \| ", PAGE, re.MULTILINE)} == codes


@pytest.mark.parametrize(("place", "words"), list(raised()))
def test_each_error_has_a_line(place: str, words: str) -> None:
    assert words in PAGE, place


def test_what_the_page_quotes_is_what_is_said() -> None:
    everything, events = said(), {event.name for event in EVENTS}
    outside = {"403", "501", "503", "InternalError", "FILE:LINE", "replicator_lag_revisions"}
    fragments = {part.strip(": ") for message in quoted() for part in message.split("…")}

    assert [part for part in fragments - events - outside if part not in everything] == []


def test_each_cause_that_has_a_hint_has_a_line() -> None:
    grpc_codes = {f": {code.name.lower()}: " for code in etcd_connection._HINTS}
    system = {os.strerror(number).lower() for number in (*files._FIRM, *files._PASSING)}

    told = {*s3_errors._HINTS, *grpc_codes, *system}
    assert [words for words in told if words not in PAGE] == []


def test_the_tests_that_the_page_on_reliability_names_are_there() -> None:
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    named = set(re.findall(r"tests/[\w/.]+", page))

    assert len(named) > 15
    assert [path for path in named if not (ROOT / path).exists()] == []
