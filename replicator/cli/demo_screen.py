"""What ``replicator demo`` shows: a timeline that grows, three files side by side, what differs.

On a terminal it has a pace, and colours of the terminal's own palette: readable on dark and on light. In a
pipe it has neither. No line is wider than 80 columns, but commands, which are copied whole.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from replicator.config import Capture
from replicator.core.quantities import human_duration
from replicator.demo.files import excerpt, shortened
from replicator.demo.story import TOUCHED, Mood

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from replicator.cli.demo_document import Demo, MomentLine
    from replicator.demo.files import Change, FieldChange
    from replicator.demo.player import Played, Stored

_WIDTH: Final = 78
_COLUMN: Final = 25
_MOODS: Final = {Mood.WORK: (" ", ""), Mood.MISTAKE: ("!", "red"), Mood.REPAIR: ("+", "green")}
_SIGNS: Final = {"new": ("+", "green"), "gone": ("-", "red"), "changed": ("~", "bold")}
_ABSENT: Final = "  (not there)"

Restored = tuple["MomentLine", str]


class Screen:
    """Prints on stdout; nothing if *quiet*."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(quiet=quiet, highlight=False)
        self._live: Live | None = None
        self._printed = 0

    @property
    def is_animated(self) -> bool:
        """Whether somebody watches: then the caller takes its time."""
        return self._console.is_terminal and not self._console.is_dumb_terminal and not self._console.quiet

    def opening(self, folder: Path) -> None:
        """Say what is about to happen."""
        self._title("replicator demo: a day of a small shop's gateway")
        self._line(" A throw-away etcd and `replicator run` start, both on this machine alone;")
        self._line(f" all of it stays in {folder}", soft_wrap=True)
        self._line()

    def heading(self, etcd_version: str) -> None:
        """Put the head over the timeline."""
        self._line(
            f" etcd {etcd_version} is recorded. The story's day passes in seconds: its times are", "dim"
        )
        self._line(" on the left, and the real ones, as stamped in the archive, on the right.", "dim")
        self._line()
        self._line(_columns(" ", "story", "what happens", "rev.", "stamp (UTC)", "durable"), "bold")

    @contextmanager
    def live(self) -> Iterator[None]:
        """Keep what is drawn within at the screen's end, and redraw it in place."""
        if not self.is_animated:
            yield
            return
        with Live(console=self._console, auto_refresh=False) as self._live:
            yield
        self._live = None

    def timeline(self, played: Sequence[Played], stored: Mapping[int, Stored], now: datetime) -> None:
        """Draw what happened; a step stays in place when the archive has it, and is counting until then."""
        ready = [one for one in played[self._printed :] if one.revision in stored]
        self._rows(_step(one, stored[one.revision], now) for one in ready)
        self._printed += len(ready)
        waiting = played[self._printed :]
        if self._live and (ready or waiting):
            self._live.update(Group(*(_step(one, None, now) for one in waiting)), refresh=True)

    def restoring(self) -> None:
        """Put the head over the restored files."""
        self._line()
        self._title("Three moments, restored while the recording goes on")

    def restored(self, files: Sequence[Restored], *, is_last: bool) -> None:
        """Draw the files so far, side by side, by the lines that the mistake has touched."""
        if self._live:
            self._live.update(Group(*_side_by_side(files)), refresh=True)
        elif is_last:
            self._rows(_side_by_side(files))

    def secrets(self) -> None:
        """Say why a file shows what etcd doesn't."""
        self._line()
        self._line(" The key is encrypted in etcd. The file has it in clear (here cut short), as a", "dim")
        self._line(" gateway without etcd needs it; so only you may read the file.", "dim")

    def differing(self) -> None:
        """Put the head over the differences."""
        self._line()
        self._title("What changed between them")

    def difference(self, title: str, changes: Iterable[Change]) -> None:
        """Draw what differs between two files."""
        self._line(f" {title}", "bold")
        for change in changes:
            self._rows(_change(change))

    def closing(self, demo: Demo, commands: Iterable[str]) -> None:
        """Say what was measured, where it all is, and how to do the same by hand."""
        self._line()
        self._title("Yours to look at")
        for name, text in _measured(demo):
            self._line(f" {name:<9} {text}", soft_wrap=True)
        self._line()
        self._line(" By hand:")
        for command in commands:
            self._line(f"   {command}", soft_wrap=True)

    def _rows(self, rows: Iterable[Text]) -> None:
        for row in rows:
            self._console.print(row, no_wrap=True, overflow="crop")

    def _title(self, text: str) -> None:
        self._console.print(Text.assemble((text, "bold"), " ", ("-" * (_WIDTH - len(text) - 1), "dim")))

    def _line(self, text: str = "", style: str = "", *, soft_wrap: bool = False) -> None:
        self._console.print(Text(text, style=style), soft_wrap=soft_wrap)


def _columns(mark: str, at: str, what: str, revision: str, stamp: str, durable: str) -> str:
    return f"{mark}{at:<5}  {what:<40} {revision:>5}  {stamp:<12}  {durable:>7}"


def _step(played: Played, stored: Stored | None, now: datetime) -> Text:
    step = played.step
    mark, style = _MOODS[step.mood]
    first = played.revision - len(step.writes) + 1
    revision = f"{played.revision}" if first == played.revision else f"{first}-{played.revision}"
    stamp = f"{stored.observed_at:%H:%M:%S.%f}"[:-3] if stored else "..."
    elapsed_s = ((stored.durable_at if stored else now) - played.committed_at).total_seconds()
    text = Text(_columns(mark, step.at, step.what, revision, stamp, f"{elapsed_s:.1f} s"))
    text.stylize(style)
    if stored is None:
        text.stylize("dim")
    return _cut(text)


def _side_by_side(files: Sequence[Restored]) -> Iterator[Text]:
    """Yield the lines of a table: a column for each file, a block of rows for each part."""
    yield _row(*(Text(f"{moment.name}, {moment.story_time}", "bold") for moment, _ in files))
    yield _row(*(Text(f"at {moment.at[11:]}", "dim") for moment, _ in files))
    yield _row(
        *(
            Text(f"revision {moment.revision}, {human_duration(moment.restore_s)}", "dim")
            for moment, _ in files
        )
    )
    for part in TOUCHED:
        yield Text()
        blocks = [excerpt(text, part) or [f"{part.section}:", _ABSENT] for _, text in files]
        for lines in zip_longest(*blocks, fillvalue=""):
            yield _row(*(_styled(line, column, blocks[0]) for column, line in enumerate(lines)))


def _styled(line: str, column: int, before: Sequence[str]) -> Text:
    """Return *line* coloured if the file before the mistake hasn't got it."""
    return Text(shortened(line), "" if line in before else ("", "red", "green")[column])


def _row(*cells: Text) -> Text:
    for cell in cells:
        cell.truncate(_COLUMN, overflow="crop", pad=cell is not cells[-1])
    return _cut(Text(" ").join([Text(), *cells]))


def _change(change: Change) -> Iterator[Text]:
    """Yield the lines for one item; one that came or went needs no more than one."""
    sign, style = _SIGNS[change.kind]
    if change.kind == "changed":
        yield Text(f"   {sign} {change.item}", style)
        for field in change.fields:
            yield from _field(field)
        return
    values = ((field.path, field.new if change.kind == "new" else field.old) for field in change.fields[1:])
    summary = ", ".join(f"{path} {_compact(value)}" for path, value in values)
    yield _cut(Text(f"   {sign} {change.item:<20}  {summary}", style))


def _field(field: FieldChange) -> Iterator[Text]:
    label = f"{field.path:<9} "
    for sign, style, value in (("-", "red", field.old), ("+", "green", field.new)):
        if value is not None:
            yield _cut(Text.assemble(f"       {label}", (f"{sign} {_compact(value)}", style)))
            label = " " * len(label)


def _compact(value: Any) -> str:
    return shortened(json.dumps(value))


def _cut(text: Text) -> Text:
    """Return *text* as one line that fits, also into a terminal that is narrower than it should be."""
    if text.cell_len > _WIDTH:
        text.truncate(_WIDTH - 3)
        text.append("...")
    text.no_wrap, text.overflow = True, "crop"
    return text


def _measured(demo: Demo) -> Iterator[tuple[str, str]]:
    flush_s = Capture().flush_interval.total_seconds()
    segments = f"{len(demo.segments)} segments" if len(demo.segments) > 1 else "one segment"
    yield (
        "recorded",
        f"{demo.events} changes in {segments} (capture.flush_interval: {human_duration(flush_s)})",
    )
    yield "durable", f"{_spread([step.durable_after for step in demo.steps])} after etcd's commit"
    yield (
        "restored",
        f"in {_spread([moment.restore_s for moment in demo.moments])}, each moment proved by digest",
    )
    yield "archive", demo.archive.removeprefix("file://")
    for moment in demo.moments:
        yield moment.name, moment.file


def _spread(seconds: Sequence[float]) -> str:
    return f"{human_duration(min(seconds))} to {human_duration(max(seconds))}"
