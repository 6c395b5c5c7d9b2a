"""Recorded files as they go out: where each is written, and the config.yaml that a restore asks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from replicator.apisix import Report
from replicator.cli.restored import Answer, told_of
from replicator.cli.words import say
from replicator.core.plan import AtTime, Latest
from replicator.errors import TargetNotRestorable, UsageError
from replicator.flows.instance import config_file, files_at, files_of
from replicator.wiring_instance import instance_store

if TYPE_CHECKING:
    from replicator.config import Settings
    from replicator.core.plan import Target
    from replicator.flows.restore import Restored


@dataclass(frozen=True, slots=True)
class RecordedFiles(Answer):
    """An answer that goes into several files, or into one that needn't be named: each path with its bytes."""

    files: tuple[tuple[Path, bytes], ...] = field(repr=False, default=())


def recorded_files(restored: Restored, output: str) -> Answer:
    """Return the files of a restored state, byte for byte.

    Args:
        restored: The state of an archive of files.
        output: What ``-o`` says: ``-``, a file, or a directory, which is made if it isn't there.

    Raises:
        TargetNotRestorable: No file was there at that moment.
        UsageError: They can't go there.
    """
    told, found = told_of(restored, Report()), files_of(restored)
    if not found:
        raise TargetNotRestorable(
            "none of the recorded files was there at that moment", hint="replicator list  (shows others)"
        )
    if len(found) == 1 and (output == "-" or not Path(output).is_dir()):
        (body,) = found.values()
        return Answer(told, [body]) if output == "-" else RecordedFiles(told, (), ((Path(output), body),))
    if output == "-":
        raise UsageError(
            f"{len(found)} files can't all go to stdout: {', '.join(found)}", hint="name a directory: -o DIR"
        )
    names = Counter(PurePosixPath(path).name for path in found)
    if twice := [path for path in found if names[PurePosixPath(path).name] > 1]:
        raise UsageError(
            f"several files have one name: {', '.join(twice)}",
            hint="--format kv gives all of them with their paths, as JSON lines",
        )
    folder = _directory(Path(output))
    placed = ((folder / PurePosixPath(path).name, body) for path, body in found.items())
    return RecordedFiles(told, (), tuple(placed))


def _directory(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"can't make the directory {path}: {error.strerror}",
            hint="several files need a directory: -o DIR",
        ) from None
    return path


def recorded_config(settings: Settings, target: Target = Latest()) -> bytes | None:  # noqa: B008 (frozen)
    """Return the config.yaml of the instance archive: of the target's time if that is one, else the latest.

    None if there is no such archive, or no such file in it.
    """
    store = instance_store(settings)
    if store is None:
        return None
    if isinstance(target, AtTime):
        try:
            return config_file(files_at(store, target))
        except TargetNotRestorable as unknown:
            say(f"the latest config.yaml is taken for that of the time: {unknown}", err=True)
    return config_file(files_at(store, Latest()))
