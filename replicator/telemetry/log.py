"""The log: structured events on stderr, as lines for people or as JSON.

Logging starts here alone; whoever logs is handed the logger. Importing structlog takes longer than a short
command does: only a command that logs imports this module.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Literal, TextIO

import structlog
from structlog import dev, processors

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def configure(
    form: Literal["console", "json"], level: str, stream: TextIO | None = None
) -> FilteringBoundLogger:
    """Return the logger of this process; libraries that log by themselves fall silent.

    Each event has ``time`` (RFC 3339, UTC, microseconds), ``level``, ``event`` (its dotted name, as
    `replicator.telemetry.events` lists it) and the event's fields. A traceback never shows variables.

    Args:
        form: Lines for people, coloured on a terminal; or one JSON object a line.
        level: The least level that is shown: debug, info, warning or error.
        stream: Where to; None for stderr.
    """
    stream = stream or sys.stderr
    # A root without a handler would print other libraries' warnings on stderr, in between ours.
    logging.getLogger().addHandler(logging.NullHandler())
    render = (
        [_for_people(stream)]
        if form == "console"
        else [processors.format_exc_info, processors.JSONRenderer()]
    )
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[
            processors.add_log_level,
            processors.TimeStamper(_TIME_FORMAT, utc=True, key="time"),
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
    )
    return logger


def _for_people(stream: TextIO) -> Processor:
    return dev.ConsoleRenderer(
        colors=stream.isatty(),
        timestamp_key="time",
        repr_native_str=True,  # a line break in a value could feign an event, an escape command a terminal
        exception_formatter=dev.plain_traceback,  # the default's shows local variables, so secrets
        sort_keys=False,
    )
