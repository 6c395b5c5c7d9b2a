"""``replicator verify``: is the archive what it promises to be?"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
import msgspec

from replicator import wiring
from replicator.cli.drill import Drill, rehearse
from replicator.cli.interrupts import interruptible
from replicator.cli.options import archive_option, json_option, print_json
from replicator.cli.progress import progress
from replicator.cli.stdout import answering
from replicator.cli.verify_words import drill_words, full_words, live_words
from replicator.cli.words import say
from replicator.errors import ArchiveDamaged, Different, UsageError
from replicator.flows.instance import holds_files
from replicator.flows.open_archive import read_archive
from replicator.flows.verify_full import Full, verify_full
from replicator.flows.verify_live import Live, verify_live

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl, Settings
    from replicator.ports import ObjectStore


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``verify --json`` says: an entry for each mode that was chosen, None for the others.

    Attributes:
        ok: Whether all is well.
        full: The archive against itself.
        live: The archive against etcd.
        drill: A rehearsed restore.
    """

    ok: bool
    full: Full | None = None
    live: Live | None = None
    drill: Drill | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of one call."""

    full: bool
    live: bool
    drill: bool
    samples: int
    seed: int | None
    archive: ArchiveUrl | None
    as_json: bool


@click.command("verify")
@click.option("--full", is_flag=True, help="Read everything, fold it anew, compare each digest on the way.")
@click.option("--live", is_flag=True, help="Compare with etcd, key by key, at the archive's end and earlier.")
@click.option("--drill", is_flag=True, help="Restore a random moment into a sandbox, and check the files.")
@click.option(
    "--samples",
    type=click.IntRange(0, 1000),
    default=5,
    metavar="N",
    show_default=True,
    help="At how many earlier revisions --live compares.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    help="Chooses the moments of --live and --drill; default: another each time, which is told.",
)
@archive_option
@json_option
@click.pass_obj
def command(shared: Shared, /, **words: Any) -> int:
    """Look whether the archive is what it promises to be; say which way, or several.

    It only reads, beside a `replicator run` as well. The exit code is 4 if an object is damaged, 8 if etcd
    or a rehearsed restore differs.

    \b
      replicator verify --full --archive s3://bucket/path
      replicator -c replicator.yaml verify --live --drill
    """  # noqa: D301 (click wants the character itself)
    asked = Asked(**words)
    if not (asked.full or asked.live or asked.drill):
        raise UsageError(
            "which way? Say --full, --live, --drill or several of them",
            hint="--full reads all of the archive, --live asks etcd, --drill rehearses one restore",
        )
    settings = shared.settings(asked.archive)
    store = wiring.store(settings)
    live, drill = None, None
    if asked.live or asked.drill:
        _refuse_files(store)
    with interruptible():
        full = _full(store, asked) if asked.full else None
        with _known_damage(full):
            live = _live(store, settings, asked) if asked.live else None
        with _known_damage(full):
            drill = _drill(store, shared, asked) if asked.drill else None
    is_damaged = full is not None and bool(full.damages)
    is_other = (live is not None and not live.is_alike) or (drill is not None and bool(drill.faults))
    if asked.as_json:
        print_json(Answer(ok=not (is_damaged or is_other), full=full, live=live, drill=drill))
    return ArchiveDamaged.exit_code if is_damaged else Different.exit_code if is_other else 0


def _refuse_files(store: ObjectStore) -> None:
    archive = read_archive(store)
    if archive is not None and holds_files(archive):
        raise UsageError(
            "this is an archive of files: --live compares with etcd, and --drill restores a gateway's file",
            hint="say --full alone; `replicator restore --instance` gives the files back",
        )


@contextmanager
def _known_damage(full: Full | None) -> Iterator[None]:
    """Let a damage that stops another mode pass, if --full has told of it: its answer shall not be lost."""
    try:
        yield
    except ArchiveDamaged:
        if full is None or not full.damages:
            raise


def _full(store: ObjectStore, asked: Asked) -> Full:
    clock = wiring.SystemClock()
    began_s = clock.monotonic()
    with progress("reading", "objects") as bar:
        full = verify_full(store, bar)
    _tell(asked, full_words(full, clock.monotonic() - began_s))
    return full


def _live(store: ObjectStore, settings: Settings, asked: Asked) -> Live:
    seed = _seed(asked)
    with progress("comparing", "revisions") as bar:
        etcd = settings.etcd
        live = verify_live(wiring.source(etcd), etcd.prefix, store, asked.samples, seed, bar)
    _tell(asked, live_words(live, seed))
    return live


def _drill(store: ObjectStore, shared: Shared, asked: Asked) -> Drill:
    drill = rehearse(shared, asked.archive, store, _seed(asked))
    _tell(asked, drill_words(drill))
    return drill


def _seed(asked: Asked) -> int:
    return secrets.randbelow(1 << 32) if asked.seed is None else asked.seed


def _tell(asked: Asked, words: Iterator[tuple[str, str | None]]) -> None:
    if asked.as_json:
        return
    with answering():
        for line, colour in words:
            say(line, fg=colour)
