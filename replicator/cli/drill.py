"""A fire drill: restore a moment into a sandbox as a user would, and look whether the files are right."""

from __future__ import annotations

import io
import json
import random
import stat
import tempfile
from base64 import b64decode
from collections import Counter
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from replicator import wiring
from replicator.apisix.report import shown
from replicator.cli import restore_command
from replicator.core.quantities import format_time
from replicator.core.records import Record
from replicator.core.state import digest_of
from replicator.errors import ArchiveDamaged, TargetNotRestorable
from replicator.flows.survey import survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replicator.cli.app import Shared
    from replicator.config import ArchiveUrl
    from replicator.flows.survey import Survey
    from replicator.ports import ObjectStore

# libyaml's, where PyYAML was built with it: ten times as fast, and as little ours as the other.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """What ``verify --drill`` found; all is well if nothing is in *faults*.

    Attributes:
        seed: Gives the same moment again, with ``--seed``, while the archive is the same.
        target: The moment, as `restore` takes it.
        revision: The revision that it means; None if it wasn't restored.
        items: How many items the gateway's file holds, by section.
        size_bytes: Size of the gateway's file.
        restore_seconds: How long its restore took.
        faults: What isn't as it should be.
    """

    seed: int
    target: str
    revision: int | None = None
    items: dict[str, int] = {}
    size_bytes: int = 0
    restore_seconds: float = 0.0
    faults: tuple[str, ...] = ()


def choose(found: Survey, seed: int) -> list[str]:
    """Return the options of `restore` for a random restorable moment: a revision, or a time, of any epoch."""
    chance = random.Random(seed)
    coverage = chance.choice(found.coverage)
    if chance.random() < 0.5:
        first, last = coverage.epoch.base, coverage.reach.through_revision
        return ["--revision", str(chance.randint(max(1, first), last))]
    start = coverage.epoch.observed_at
    return ["--at", format_time(start + (coverage.reach.observed_through - start) * chance.random())]


def rehearse(shared: Shared, archive: ArchiveUrl | None, store: ObjectStore, seed: int) -> Drill:
    """Restore a moment as YAML and as key/values into a folder of its own, and check both; nothing stays.

    Args:
        shared: What was said before the command.
        archive: What ``--archive`` said.
        store: Where the archive is.
        seed: Chooses the moment.

    Raises:
        UsageError: A setting is wrong.
        StoreUnavailable: The store is away.
    """
    words = "none"
    try:
        found = survey(store)
        target = choose(found, seed)
        words = " ".join(target)
        where = [*target, *(["--archive", str(archive)] if archive else [])]
        with tempfile.TemporaryDirectory(prefix="replicator-drill-") as folder:
            return _rehearsed(shared, where, Path(folder), found.archive.prefix, seed)
    except (ArchiveDamaged, TargetNotRestorable) as error:
        return Drill(seed=seed, target=words, faults=(f"restore failed: {error}",))


def _rehearsed(shared: Shared, where: list[str], folder: Path, prefix: str, seed: int) -> Drill:
    clock = wiring.SystemClock()
    began_s = clock.monotonic()
    file = _restore(shared, [*where, "-o", str(folder / "apisix.yaml")], folder / "report.json")
    restore_seconds = round(clock.monotonic() - began_s, 3)
    pairs = _restore(shared, [*where, "--format", "kv", "-o", str(folder / "state")], folder / "kv.json")
    report = json.loads((folder / "report.json").read_bytes())
    items, faults = _parsed(file)
    records = list(_records(pairs))
    sections = _sections((key for key, _ in records), prefix.rstrip("/").encode() + b"/", report)
    faults += [*_modes(folder), *_state_faults(records, report), *_item_faults(items, sections)]
    return Drill(
        seed=seed,
        target=" ".join(where[:2]),
        revision=report["revision"],
        items=items,
        size_bytes=file.stat().st_size,
        restore_seconds=restore_seconds,
        faults=tuple(faults),
    )


def _restore(shared: Shared, arguments: list[str], report: Path) -> Path:
    """Call `replicator restore`; return the file that it wrote. Its words to people go nowhere."""
    with redirect_stderr(io.StringIO()):
        restore_command.command.main(
            [*arguments, "--report", str(report)], "restore", standalone_mode=False, obj=shared
        )
    return Path(arguments[arguments.index("-o") + 1])


def _parsed(file: Path) -> tuple[dict[str, int], list[str]]:
    """Return how many items each section of the gateway's file has to another parser, and what is wrong."""
    text = file.read_bytes()
    faults = [] if text.endswith(b"\n#END\n") else ["the file doesn't end in #END"]
    counts: dict[str, int] = {}
    try:
        _count_items(text, counts)
    except (yaml.YAMLError, UnicodeDecodeError):
        faults.append("the file is no YAML to another parser")
    except ValueError as odd:
        faults.append(f"the file {odd}")
    return counts, faults


def _count_items(text: bytes, counts: dict[str, int]) -> None:
    """Count the items of each section into *counts*, by the parser's events: a tree would take gigabytes.

    Raises:
        ValueError: It isn't a mapping of names to lists.
        yaml.YAMLError: It is no YAML.
    """
    depth, section, is_named = 0, "", False
    for event in yaml.parse(text, Loader=_LOADER):
        if depth == 2 and not isinstance(event, yaml.CollectionEndEvent):
            counts[section] += 1
        elif depth == 1 and is_named:
            if not isinstance(event, yaml.SequenceStartEvent) or section in counts:
                raise ValueError(f"holds no list, or two, under {section}")
            counts[section], is_named = 0, False
        elif depth == 1 and isinstance(event, yaml.ScalarEvent):
            section, is_named = event.value, True
        elif (
            depth == 0 and isinstance(event, yaml.NodeEvent) and not isinstance(event, yaml.MappingStartEvent)
        ):
            raise ValueError("is no mapping")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)


def _records(file: Path) -> Iterator[tuple[bytes, Record]]:
    """Yield what the key/values say, read by another parser than ours."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            told = json.loads(line)
            key, value = (
                told[name].encode() if name in told else b64decode(told[f"{name}_base64"])
                for name in ("key", "value")
            )
            numbers = (told[name] for name in ("create_revision", "mod_revision", "version", "lease"))
            yield key, Record(value, *numbers)


def _modes(folder: Path) -> Iterator[str]:
    for file in sorted(folder.iterdir()):
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode != 0o600:
            yield f"the file {file.name} has mode {mode:04o}: others may read it"


def _state_faults(records: list[tuple[bytes, Record]], report: dict[str, Any]) -> Iterator[str]:
    if digest_of(records) != report["state_digest"]:
        yield "the key/values don't give the state's digest"
    if len(records) != report["keys"]:
        yield f"there are {len(records)} key/values, and {report['keys']} keys were live"


def _sections(keys: Iterable[bytes], prefix: bytes, report: dict[str, Any]) -> Counter[str]:
    """Return how many items each section must have: one for each key that wasn't refused or ignored."""
    left_out = {refusal["key"] for refusal in report["refused"]} | set(report["ignored"])
    return Counter(
        key.removeprefix(prefix).partition(b"/")[0].decode() for key in keys if shown(key) not in left_out
    )


def _item_faults(items: dict[str, int], expected: Counter[str]) -> Iterator[str]:
    if ("plugins" in expected) != ("plugins" in items):  # one key, whose value is a list
        yield "plugins: the list of plugins is in the archive or in the file alone"
    for section in sorted((expected.keys() | items.keys()) - {"plugins"}):
        if expected[section] != items.get(section, 0):
            yield f"{section}: {items.get(section, 0)} items in the file, {expected[section]} in the archive"
