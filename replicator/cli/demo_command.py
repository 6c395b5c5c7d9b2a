"""``replicator demo``: the main job, watched on one machine."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from replicator import wiring, wiring_demo
from replicator.apisix import Options
from replicator.cli.demo_document import Demo, Difference, MomentLine
from replicator.cli.demo_screen import Screen
from replicator.cli.demo_stage import Stage
from replicator.cli.interrupts import SIGNALS, interruptible
from replicator.cli.options import json_option, print_json
from replicator.cli.restored import standalone_file
from replicator.config import ArchiveUrl, Settings
from replicator.core.plan import AtTime
from replicator.core.quantities import format_time
from replicator.demo.admin_api import PREFIX
from replicator.demo.certificate import self_signed
from replicator.demo.files import changes, items_of
from replicator.demo.story import HOST, Mood, day, moments
from replicator.errors import UsageError
from replicator.flows.restore import restore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replicator.adapters.etcd_server import EtcdServer
    from replicator.adapters.recorder import Recorder
    from replicator.cli.demo_screen import Restored
    from replicator.demo.story import Moment

_SETTINGS = """\
# All that `replicator run` was told; the rest is its defaults.
etcd: {{endpoints: [{endpoint}], prefix: {prefix}}}
archive: {archive}
"""
_READING_S = 1.3
_PAIRS = ((0, 1, "The mistake"), (1, 2, "The repair"), (0, 2, "Both together"))


@click.command("demo")
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where archive and files go: a new or empty folder. Default: one among the temporary files.",
)
@json_option
def command(*, keep: Path | None, as_json: bool) -> None:
    """Watch a day of a small shop's gateway being recorded, and three moments of it restored.

    A throw-away etcd and `replicator run` work in one folder and on this machine alone. It takes 20 seconds
    on a terminal, less in a pipe. The folder stays, for you to look at.
    """
    screen = Screen(quiet=as_json)
    with interruptible(), _folder(keep) as folder:
        demo = _perform(folder, screen)
    screen.closing(demo, _by_hand(demo))
    if as_json:
        print_json(demo)


def _perform(folder: Path, screen: Screen) -> Demo:
    """Play, record, restore and compare; etcd and the recorder have ended when this returns."""
    clock = wiring.SystemClock()
    began_s = clock.monotonic()
    archive = ArchiveUrl(bucket="", path=str(folder / "archive"))
    steps = day(*self_signed(HOST, clock.now()))
    with _stage(folder, archive, screen) as stage:
        stage.play(steps)
        files = _restore(folder, stage, moments(steps))
        differences = _compare(stage, files)
    return Demo(
        folder=str(folder),
        archive=str(archive),
        etcd_version=stage.etcd_version,
        events=sum(len(step.writes) for step in steps),
        segments=stage.segments,
        steps=stage.lines(),
        moments=tuple(moment for moment, _ in files),
        differences=differences,
        duration=clock.monotonic() - began_s,
    )


@contextmanager
def _stage(folder: Path, archive: ArchiveUrl, screen: Screen) -> Iterator[Stage]:
    """Run etcd and the recorder while the stage is open."""
    etcd = wiring_demo.throwaway_etcd(folder / "etcd")
    settings = folder / "replicator.yaml"
    recorder = wiring_demo.recorder(settings, folder / "run.log")
    screen.opening(folder)
    with _running(etcd):
        settings.write_text(_SETTINGS.format(endpoint=etcd.endpoint, prefix=PREFIX, archive=archive))
        with _running(recorder):
            keys, store = wiring_demo.etcd_writer(etcd.endpoint), wiring.store(Settings(archive=archive))
            yield Stage(wiring.SystemClock(), screen, keys, recorder, store)


def _restore(folder: Path, stage: Stage, wanted: Sequence[Moment]) -> list[Restored]:
    """Restore each moment as `replicator restore --at ... --style block` does."""
    files: list[Restored] = []
    stage.screen.restoring()
    with stage.screen.live():
        for moment in wanted:
            files.append(_restore_one(folder, stage, moment))
            stage.screen.restored(files, is_last=moment is wanted[-1])
            stage.pause(_READING_S)
    stage.pause(_READING_S)
    stage.screen.secrets()
    return files


def _restore_one(folder: Path, stage: Stage, moment: Moment) -> Restored:
    at, file = stage.stamp_after(moment.steps), folder / f"{moment.name}.yaml"
    began_s = stage.clock.monotonic()
    answer = standalone_file(restore(stage.store, AtTime(at)), Options(), "yaml", "block")
    wiring.write_file(file, answer.chunks)
    line = MomentLine(
        name=moment.name,
        story_time=moment.at,
        at=format_time(at),
        revision=answer.told.revision,
        keys=answer.told.keys,
        state_digest=answer.told.state_digest,
        file=str(file),
        restore_s=stage.clock.monotonic() - began_s,
    )
    return line, file.read_text()


def _compare(stage: Stage, files: Sequence[Restored]) -> tuple[Difference, ...]:
    """Compare each pair of files, as a YAML parser reads them."""
    items = [items_of(text) for _, text in files]
    differences: list[Difference] = []
    stage.screen.differing()
    for one, other, title in _PAIRS:
        if differences:
            stage.pause(_READING_S)
        since, until = files[one][0], files[other][0]
        found = changes(items[one], items[other])
        stage.screen.difference(f"{title}: {since.story_time} to {until.story_time}", found)
        differences.append(Difference.of(since.name, until.name, found))
    return tuple(differences)


def _by_hand(demo: Demo) -> Iterator[str]:
    """Yield the commands that show the same."""
    program, before = _program(), demo.moments[0]
    mistake = next(step for step in demo.steps if step.mood == Mood.MISTAKE.value)
    epoch, _, segment = mistake.segment.partition("/log/")
    yield f"A={demo.archive}"
    yield f"{program} list --archive $A"
    yield f"{program} restore --at {before.at} --archive $A"
    missing = "" if shutil.which("zstdcat") and shutil.which("jq") else "  # needs zstd and jq"
    yield f"zstdcat {shlex.quote(demo.folder)}/archive/{epoch}/log/*{segment[-14:]} | jq{missing}"
    yield f"rm -r {shlex.quote(demo.folder)}"


def _program() -> str:
    """Return how a shell calls us."""
    if shutil.which("replicator"):
        return "replicator"
    script = Path(sys.argv[0])
    if script.name == "replicator":
        return shlex.quote(str(script))
    return f"{shlex.quote(sys.executable)} -m replicator"


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Give a folder that stays: *keep*, or a temporary one, which goes if nothing came of it.

    Raises:
        UsageError: *keep* is no empty folder, and none can be made there.
    """
    folder = Path(tempfile.mkdtemp(prefix="replicator-demo-")) if keep is None else _empty(keep)
    try:
        yield folder
    except (KeyboardInterrupt, UsageError):
        shutil.rmtree(folder if keep is None else folder / "etcd", ignore_errors=True)
        raise
    shutil.rmtree(folder / "etcd", ignore_errors=True)


def _empty(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"--keep: {folder} is not empty", hint="name a new folder")
    except OSError as error:
        raise UsageError(f"--keep: {folder}: {error.strerror}", hint="name a new folder") from None
    return folder.resolve()


@contextmanager
def _running(process: EtcdServer | Recorder) -> Iterator[None]:
    """Start *process*, and end it whatever happens."""
    try:
        with _deferred():
            process.start()
        yield
    finally:
        process.stop()


@contextmanager
def _deferred() -> Iterator[None]:
    """Let signals take effect at the end: a process that is just being started would slip from our hands."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])
