"""What commands say in a guide: as they say it, with times and names of the page's own."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from servers.command import replicator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_BEGAN = datetime(2026, 11, 23, 2, 40, tzinfo=UTC)
_EACH = timedelta(minutes=4, seconds=7)


def told(settings: Path, *words: str, answer_first: bool = False) -> str:
    """Return the block for a call with *settings*: the command line, and what it says, stderr first."""
    answer = replicator("-c", settings, *words, cwd=settings.parent)
    parts = [answer.err, answer.out.decode()]
    said = "".join(reversed(parts) if answer_first else parts)
    return f"```console\n$ replicator -c replicator.yaml {' '.join(words)}\n{said}```"


def with_own_times(text: str) -> str:
    """Return *text* with times of the page's own for those of today, in the same order."""
    moments = sorted(set(_TIME.findall(text)))
    for moment, own in zip(moments, _own_times(), strict=False):
        text = text.replace(moment, own)
    return text


def _own_times() -> Iterator[str]:
    moment = _BEGAN
    while True:
        yield moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        moment += _EACH
