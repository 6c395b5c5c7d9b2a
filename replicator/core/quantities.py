"""Durations, sizes and moments, as people write them and as they are shown.

Nothing here asks the clock: a relative moment is counted from the *now* that it is given.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from replicator.errors import UsageError

_DURATION_UNITS_US: Final = {
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60 * 1_000_000,
    "h": 3_600 * 1_000_000,
    "d": 86_400 * 1_000_000,
    "w": 7 * 86_400 * 1_000_000,
    "y": 365 * 86_400 * 1_000_000,
}
_SIZE_UNITS_BYTES: Final = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwy])", re.ASCII)
_DURATION: Final = re.compile(rf"(?:{_DURATION_PART.pattern})+", re.ASCII)
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]*)", re.ASCII)
_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d|60)(\.\d+)?"
    r"([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)?",
    re.ASCII,
)

_DURATION_HINT: Final = "write it like 500ms, 1m30s, 2h or 30d"
_SIZE_HINT: Final = "write it like 4MiB, 512KiB, 10MB, or a number of bytes"
_MOMENT_HINT: Final = (
    "write it like 2026-03-01T14:30:00Z, 2026-03-01T15:30:00+01:00, or -15m for a quarter of an hour ago"
)


def parse_duration(text: str) -> timedelta:
    """Return the length of time that *text* says: ``500ms``, ``1m30s``, ``1.5h``, ``30d``, ``1y``, ``0``.

    Go's notation, with d (24 hours), w and y (365 days) beside it; to the microsecond.

    Raises:
        UsageError: *text* says none, or one longer than a `timedelta` holds.
    """
    if text == "0":
        return timedelta(0)
    if not _DURATION.fullmatch(text):
        raise UsageError(f'"{text}" is no duration', hint=_DURATION_HINT)
    parts = _DURATION_PART.findall(text)
    try:
        return timedelta(
            microseconds=sum(int(Decimal(number) * _DURATION_UNITS_US[unit]) for number, unit in parts)
        )
    except OverflowError:
        raise UsageError(f'"{text}" is too long a duration', hint=_DURATION_HINT) from None


def human_duration(seconds: float) -> str:
    """Return *seconds* as `parse_duration` reads it: ``250ms``, ``1.5s``, ``3m12s``, ``41d3h``.

    To the millisecond below a minute, to the second above. A negative one has a leading ``-``.
    """
    if seconds < 0:
        return f"-{human_duration(-seconds)}"
    thousandths = round(seconds * 1_000)
    if 0 < thousandths < 1_000:
        return f"{thousandths}ms"
    if thousandths < 60_000:
        return f"{thousandths / 1_000:g}s"
    minutes, whole_seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (whole_seconds, "s")]
    return "".join(f"{number}{unit}" for number, unit in parts if number)


def parse_size(text: str) -> int:
    """Return the number of bytes that *text* says: ``4MiB`` (powers of 1024), ``10MB`` (of 1000), ``4096``.

    Raises:
        UsageError: *text* says none, or no whole number of bytes.
    """
    match = _SIZE.fullmatch(text)
    factor = _SIZE_UNITS_BYTES.get(match[2]) if match else None
    if not match or not factor:
        raise UsageError(f'"{text}" is no size', hint=_SIZE_HINT)
    size_bytes = Decimal(match[1]) * factor
    if size_bytes != int(size_bytes):
        raise UsageError(f'"{text}" is no whole number of bytes', hint=_SIZE_HINT)
    return int(size_bytes)


def human_size(size_bytes: int) -> str:
    """Return *size_bytes* in the largest binary unit that it fills: ``512B``, ``4MiB``, ``1.5GiB``."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size_bytes >= _SIZE_UNITS_BYTES[unit]:
            return f"{round(size_bytes / _SIZE_UNITS_BYTES[unit], 1):g}{unit}"
    return f"{size_bytes}B"


def parse_time(text: str, now: datetime) -> datetime:
    """Return the moment that *text* names, aware and in UTC.

    Args:
        text: RFC 3339 with a zone (``2026-03-01T14:30:00Z``; a space for the T, lower case and any
            number of decimals are fine, those after the sixth are cut off), or relative: ``-2h30m``.
        now: What a relative moment is counted from. Aware; its zone is the one that the hint offers to
            somebody who left theirs out.

    Raises:
        UsageError: *text* names no moment, leaves the zone open, or is outside the years 1 to 9999.
    """
    try:
        return _relative(text, now) if text.startswith("-") else _absolute(text, now)
    except (ValueError, OverflowError):
        raise UsageError(f'there is no such moment as "{text}"', hint=_MOMENT_HINT) from None


def _relative(text: str, now: datetime) -> datetime:
    return now.astimezone(UTC) - parse_duration(text[1:])


def _absolute(text: str, now: datetime) -> datetime:
    match = _MOMENT.fullmatch(text)
    if not match:
        raise UsageError(f'"{text}" is no time', hint=_MOMENT_HINT)
    day, minute, second, fraction, zone = match.groups(default="")
    if second == "60":
        raise UsageError(
            f'"{text}" is a leap second, and no clock stamps one',
            hint=f"take the moment before it: {day}T{minute}:59.999999{zone or 'Z'}",
        )
    moment = f"{day}T{minute}:{second}{fraction}"
    if not zone:
        local = datetime.fromisoformat(moment).replace(tzinfo=now.tzinfo)
        raise UsageError(f'"{text}" has no time zone', hint=_zone_hint(moment, local))
    return datetime.fromisoformat(moment + zone.upper()).astimezone(UTC)


def _zone_hint(moment: str, local: datetime) -> str:
    if not local.utcoffset():
        return f"write {moment}Z for UTC"
    offset = local.isoformat()[-6:]
    return f"write {moment}Z for UTC, or {moment}{offset} for your local time"


def format_time(moment: datetime) -> str:
    """Return *moment* in UTC as RFC 3339, always 27 characters: ``2026-03-01T14:30:00.000000Z``.

    Texts of this form sort as the moments do.

    Raises:
        ValueError: *moment* is naive.
    """
    if moment.tzinfo is None:
        raise ValueError(f"a naive time has no place in UTC: {moment}")
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
