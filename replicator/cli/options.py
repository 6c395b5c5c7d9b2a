"""Options that several commands share, and how a command prints its one JSON document."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec

from replicator.cli.stdout import answering
from replicator.config import ArchiveUrl
from replicator.config.values import Endpoint, parse_endpoint, parse_http_url
from replicator.core.quantities import parse_duration, parse_time
from replicator.errors import UsageError
from replicator.wiring import SystemClock


class _Parsed(click.ParamType):  # type: ignore[type-arg] # it takes a type from click 8.4 on
    """A parameter that one of the project's parsers reads; its UsageError passes as it is."""

    def __init__(self, name: str, parse: Any) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except UsageError as error:
            where = param.opts[0] if param else ctx.command_path if ctx else self.name
            raise UsageError(f"{where}: {error}", hint=error.hint) from None


def _moment(text: str) -> datetime:
    return parse_time(text, SystemClock().now().astimezone())


def _revision(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,18}", text):
        raise UsageError(f'"{text}" is no revision', hint="etcd counts them from 1; see `replicator list`")
    return int(text)


def _endpoints(text: str) -> tuple[Endpoint, ...]:
    return tuple(parse_endpoint(word.strip()) for word in text.split(","))


def _epoch(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,7}", text):
        raise UsageError(f'"{text}" is no epoch', hint="they count from 1; see `replicator list`")
    return int(text)


TIME = _Parsed("time", _moment)
REVISION = _Parsed("revision", _revision)
EPOCH = _Parsed("epoch", _epoch)
DURATION = _Parsed("duration", parse_duration)
ENDPOINTS = _Parsed("endpoints", _endpoints)
HTTP_URL = _Parsed("url", parse_http_url)


def _place(text: str) -> ArchiveUrl:
    if "://" in text:
        return ArchiveUrl.parse(text)
    return ArchiveUrl.parse(f"file://{Path(text).absolute()}")


place_type = _Parsed("place", _place)

archive_option = click.option(
    "--archive",
    type=_Parsed("url", ArchiveUrl.parse),
    metavar="URL",
    help="Where the archive is: file:///dir or s3://bucket/path. Overrides the settings.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def print_json(document: Any) -> None:
    """Print *document* on stdout, durations as seconds."""
    with answering():
        click.echo(msgspec.json.format(msgspec.json.encode(document, enc_hook=_seconds), indent=2))


def _seconds(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(f"{type(value).__name__} is nothing that JSON can say")
