"""The log on a stream, as people and as machines read it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from replicator.config import Secret
from replicator.telemetry import log

ROOT = Path(__file__).parents[2]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


SECRET = "hunter2"


def test_json_is_an_object_a_line_with_time_level_event_and_fields() -> None:
    stream = StringIO()
    logger = log.configure("json", "info", stream).bind(archive="file:///a")

    logger.info("segment.stored", object="a\nb", revision=7)
    logger.warning("watch.lost", cause='"x"')

    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert re.fullmatch(TIME, first.pop("time"))
    assert first == {
        "archive": "file:///a",
        "level": "info",
        "event": "segment.stored",
        "object": "a\nb",
        "revision": 7,
    }
    assert (second["level"], second["cause"]) == ("warning", '"x"')


def test_a_line_for_people_has_the_same_and_no_colours_in_a_pipe() -> None:
    stream = StringIO()

    log.configure("console", "info", stream).info("segment.stored", object="a/b", revision=7)

    assert re.fullmatch(rf"{TIME} \[info *\] segment\.stored +object='a/b' revision=7\n", stream.getvalue())


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)

    log.configure("console", "info", terminal).info("segment.stored")

    assert "\x1b[" in terminal.getvalue()


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize(
    "cause", ["a\n2026-03-01T00:00:00.000000Z [info] feigned", "a\x1b[2Jb", "a\u2028b", "a level=error"]
)
def test_a_value_can_neither_feign_an_event_nor_command_a_terminal(form: str, cause: str) -> None:
    stream = StringIO()

    log.configure(form, "info", stream).info("watch.lost", cause=cause, key=cause.encode())

    assert len(stream.getvalue().splitlines()) == 1
    assert stream.getvalue().rstrip("\n").isprintable()
    assert " level=error " not in stream.getvalue().replace(repr(cause), "")


@pytest.mark.parametrize(
    ("level", "expected"),
    [("debug", "debug info warning error"), ("info", "info warning error"), ("error", "error")],
)
def test_what_is_below_the_level_is_cut_off(level: str, expected: str) -> None:
    stream = StringIO()
    logger = log.configure("json", level, stream)

    logger.debug("a.b")
    logger.info("a.b")
    logger.warning("a.b")
    logger.error("a.b")

    assert expected.split() == [json.loads(line)["level"] for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("form", ["console", "json"])
def test_neither_a_field_nor_a_traceback_shows_a_secret(form: str) -> None:
    stream = StringIO()
    logger = log.configure(form, "info", stream)

    def fail(password: str) -> None:
        raise ValueError(len(password))

    try:
        fail(SECRET)
    except ValueError:
        logger.exception("capture.failed", secret=Secret(SECRET), secrets=[Secret(SECRET)])

    assert "ValueError: 7" in stream.getvalue()
    assert SECRET not in stream.getvalue()


def test_libraries_that_log_by_themselves_are_silent() -> None:
    code = (
        "import logging; from replicator.telemetry import log; log.configure('console', 'debug')"
        ".info('capture.stopped'); logging.getLogger('botocore').error('noise')"
    )

    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)

    assert run.stdout == ""
    assert "capture.stopped" in run.stderr
    assert "noise" not in run.stderr
