"""The log: structured events on stderr, as lines for people or as JSON.

Logging starts here alone; whoever logs is handed the logger. Importing structlog takes longer than a short
command does: only a command that logs imports this module.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

import structlog
from structlog import dev, processors

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def configure(form: str, level: str, stream: TextIO | None = None) -> FilteringBoundLogger:
    """Return the logger of this process; libraries that log by themselves fall silent.

    Each event has ``time`` (RFC 3339, UTC, microseconds), ``level``, ``event`` (its dotted name, as
    `replicator.telemetry.events` lists it) and the event's fields. A traceback never shows variables.

    Args:
        form: ``console``, lines for people, coloured on a terminal; or ``json``, an object a line.
        level: The least level that is shown: debug, info, warning or error.
        stream: Where to; None for stderr.
    """
    stream = stream or sys.stderr
    # A root without a handler would print other libraries' warnings on stderr, in between ours.
    logging.getLogger().addHandler(logging.NullHandler())
    render = {"console": _for_people, "json": _as_json}[form]
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(stream),  # a line in one write: a kill leaves no half of one, as print does
        processors=[
            processors.add_log_level,
            processors.TimeStamper(_TIME_FORMAT, utc=True, key="time"),
            *render(stream),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
    )
    return logger


def _for_people(stream: TextIO) -> list[Processor]:
    renderer = dev.ConsoleRenderer(
        colors=stream.isatty(),
        timestamp_key="time",
        repr_native_str=True,  # a line break in a value could feign an event, an escape command a terminal
        exception_formatter=dev.plain_traceback,  # the default's shows local variables, so secrets
        sort_keys=False,
    )
    return [renderer]


def _as_json(_stream: TextIO) -> list[Processor]:
    return [processors.format_exc_info, processors.JSONRenderer()]
