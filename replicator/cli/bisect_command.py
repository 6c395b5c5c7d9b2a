"""``replicator bisect``: which change broke it, by a probe of one's own."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import msgspec

from replicator import wiring
from replicator.cli.gateway import Given
from replicator.cli.gateway import options as gateway_options
from replicator.cli.history_command import gateway_archive
from replicator.cli.history_words import HistoryLine, Teller
from replicator.cli.interrupts import interruptible
from replicator.cli.moments import MOMENT_HELP, parse_moment
from replicator.cli.options import archive_option, json_option, print_json
from replicator.cli.progress import progress
from replicator.cli.restored import key_values, standalone_file
from replicator.cli.stdout import answering
from replicator.cli.words import say
from replicator.core.bisection import Bisection
from replicator.core.plan import AtRevision
from replicator.core.quantities import format_time
from replicator.errors import Refused, UsageError
from replicator.flows.changes import History
from replicator.flows.remembering import Remembering
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from replicator.apisix import Options
    from replicator.apisix.formats import Format
    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl
    from replicator.core.bisection import Verdict
    from replicator.flows.changes import Break, Change
    from replicator.flows.restore import Restored
    from replicator.ports import ObjectStore

_SKIP = 125
_ABORT = 128
_STDERR = 2
_NAMES = {"yaml": "apisix.yaml", "json": "apisix.json", "kv": "apisix.jsonl"}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What ``bisect --json`` says.

    Attributes:
        first_bad: The change that made it bad; None if only skipped ones are left.
        suspects: All changes that may be that: one, unless some were skipped.
        tried: How often the probe was run.
    """

    first_bad: HistoryLine | None
    suspects: tuple[HistoryLine, ...]
    tried: int


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of one call."""

    good: str
    bad: str
    trust_ends: bool
    format_: str
    keyring: Path | None
    archive: ArchiveUrl | None
    as_json: bool
    probe: tuple[str, ...]


@click.command("bisect")
@click.option("--good", required=True, metavar="MOMENT", help=f"When all was well: {MOMENT_HELP}.")
@click.option("--bad", required=True, metavar="MOMENT", help="When it wasn't any more.")
@click.option("--trust-ends", is_flag=True, help="Don't try whether good is good and bad is bad.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(_NAMES)),
    default="yaml",
    show_default=True,
    help="What the probe reads: as `restore` writes it.",
)
@click.option(
    "--keyring",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="As for `restore`: opens encrypted fields.",
)
@archive_option
@json_option
@click.argument("probe", nargs=-1, required=True, metavar="-- COMMAND...")
@click.pass_obj
def command(shared: Shared, /, **words: Any) -> None:
    """Find the change that broke it: restore moments between, and run COMMAND on each.

    ``{}`` in COMMAND stands for the restored file; REPLICATOR_FILE, REPLICATOR_REVISION and REPLICATOR_TIME
    are in its environment. It ends with 0 if that is good, 125 if it can't tell, 1 to 127 if it is bad, and
    more to stop all.

    \b
      replicator bisect --good -2h --bad latest -- ./probe.sh {}
      replicator bisect --good 5000 --bad 5040 -- sh -c '! grep -q 10.9.0.5 {}'
    """  # noqa: D301 (click wants the character itself)
    asked = Asked(**words)
    settings = shared.settings(asked.archive)
    store = Remembering(wiring.store(settings))  # each half reads what others have read
    prefix = gateway_archive(store).prefix
    options = gateway_options(settings.apisix, Given(None, asked.keyring, None))
    options = replace(options, prefix=prefix.rstrip("/").encode())
    good, bad = (parse_moment(text, store) for text in (asked.good, asked.bad))
    first, last = restore(store, good), restore(store, bad)
    changes = _between(store, first, last)
    teller = Teller(prefix, reveal=False, heartbeats=True)
    with interruptible(), TemporaryDirectory(prefix="replicator-bisect-") as folder:
        prober = Prober(asked, options, Path(folder))
        if not asked.trust_ends:
            _check_end(prober, first, "good")
            _check_end(prober, last, "bad")
        bisection = Bisection(len(changes))
        say(f"{len(changes)} changes, about {bisection.steps_left} steps", err=True)
        while (number := bisection.next()) is not None:
            item = changes[number - 1]
            bisection.tell(number, prober.verdict(restore(store, AtRevision(item.revision, item.epoch))))
    suspects = [changes[number - 1] for number in bisection.suspects]
    lines = tuple(map(teller.line, suspects))
    if asked.as_json:
        print_json(Found(first_bad=lines[0] if len(lines) == 1 else None, suspects=lines, tried=prober.tried))
    with answering():
        for item in () if asked.as_json else suspects:
            for line in teller.words(item):
                say(line)
    if len(suspects) > 1:
        raise Refused(
            f"the probe skipped all that is left: it is one of these {len(suspects)} changes",
            hint="let the probe tell good from bad where it skipped",
        )


class Prober:
    """Restores moments into a scratch file, and runs somebody's command on each."""

    def __init__(self, asked: Asked, options: Options, folder: Path) -> None:
        self._asked = asked
        self._options = options
        self._file = folder / _NAMES[asked.format_]
        self.tried = 0

    def verdict(self, restored: Restored) -> Verdict:
        """Return what the command makes of *restored*.

        Raises:
            Refused: The command wants to stop, or was killed.
            UsageError: It can't be run.
        """
        if self._asked.format_ == "kv":
            answer = key_values(restored)
        else:
            form: Format = "json" if self._asked.format_ == "json" else "yaml"
            answer = standalone_file(restored, self._options, form, "flow")
        wiring.write_file(self._file, answer.chunks)
        moment = format_time(restored.replay.observed_at)
        revision = restored.state.revision
        about = {
            "REPLICATOR_FILE": str(self._file),
            "REPLICATOR_REVISION": str(revision),
            "REPLICATOR_TIME": moment,
        }
        words = [word.replace("{}", str(self._file)) for word in self._asked.probe]
        self.tried += 1
        try:
            # Its words are for people, and stdout is for our answer.
            code = subprocess.run(words, env={**os.environ, **about}, stdout=_STDERR, check=False).returncode
        except OSError as error:
            raise UsageError(
                f"can't run {words[0]}: {error.strerror}", hint="name a command, with its path if need be"
            ) from None
        if code < 0 or code >= _ABORT:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
            raise Refused(
                f"the probe {how} at revision {revision}: stopped",
                hint="0 is good, 125 skips, 1 to 127 is bad",
            )
        verdict: Verdict = "good" if code == 0 else "skip" if code == _SKIP else "bad"
        say(f"revision {revision}, {moment}: {verdict}", err=True)
        return verdict


def _between(store: ObjectStore, first: Restored, last: Restored) -> list[Change | Break]:
    """Return all changes after *first* up to *last*, at least one.

    Raises:
        UsageError: There are none.
    """
    begin, end = ((one.epoch.epoch, one.state.revision) for one in (first, last))
    if begin >= end:
        raise UsageError(
            f"good is revision {begin[1]} and bad is revision {end[1]}: nothing changed between them"
            if begin == end
            else f"good is revision {begin[1]}, and bad, revision {end[1]}, lies before it",
            hint="say the moment when all was well with --good, and a later one with --bad",
        )
    since = AtRevision(begin[1] - 1, begin[0])
    with progress("reading", "objects") as bar:
        items = History(store, since=since, until=AtRevision(end[1], end[0]), progress=bar).read()
        return [item for item in items if begin < (item.epoch, item.revision) <= end]


def _check_end(prober: Prober, restored: Restored, expected: Verdict) -> None:
    found = prober.verdict(restored)
    if found != expected:
        raise Refused(
            f"the probe says that revision {restored.state.revision}, which is to be {expected}, is {found}",
            hint="correct the probe, or the moments; --trust-ends goes on without this check",
        )
