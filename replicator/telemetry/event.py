"""What an event of the log is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Event:
    """An event: what it means, and the fields that it has beside those of `EVERYWHERE`."""

    name: str
    level: Literal["debug", "info", "warning", "error"]
    meaning: str
    fields: tuple[str, ...] = ()
