"""A plan to write into etcd: shown, agreed to, done."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
import msgspec

from replicator import wiring
from replicator.apisix.fields import document_of, words
from replicator.apisix.resource import name_of, type_of
from replicator.cli.diff_words import COLOURS
from replicator.cli.history_command import selection_of
from replicator.cli.progress import progress
from replicator.cli.words import say
from replicator.core.rewriting import OPS
from replicator.errors import Refused, UsageError
from replicator.flows import keyspace
from replicator.flows.instance import holds_files
from replicator.flows.rewrite import dangling_after, plan_rewriting, rewrite, values_of

if TYPE_CHECKING:
    from replicator.adapters.etcd import EtcdSource
    from replicator.config import Settings
    from replicator.config.values import Endpoint
    from replicator.core.rewriting import Rewriting, Step
    from replicator.flows.restore import Restored
    from replicator.ports import Rewritable

_NAMED = 50


@dataclass(frozen=True, slots=True)
class Consent:
    """What somebody has agreed to beforehand.

    Attributes:
        is_dry: Show the plan, and write nothing.
        is_given: Don't ask.
        max_deletes: How many keys may be deleted; None for any number.
    """

    is_dry: bool
    is_given: bool
    max_deletes: int | None


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--json`` says.

    Attributes:
        revision: etcd's revision when the plan was made.
        created: How many keys.
        updated: How many.
        deleted: How many.
        unchanged: How many held what they are to hold.
        is_dry_run: Nothing was written.
        keys: Each key that changes, with what happens to it.
    """

    revision: int
    created: int
    updated: int
    deleted: int
    unchanged: int
    is_dry_run: bool
    keys: tuple[tuple[str, str], ...]


def carry_out(rewriting: Rewriting, destination: Rewritable, prefix: str, consent: Consent) -> Written:
    """Show the plan on stderr, ask if nobody has agreed, and do it; return what ``--json`` says.

    Raises:
        Refused: It deletes more than was allowed, or somebody else has changed a key since.
        UsageError: Nobody agreed.
        SourceUnavailable: etcd doesn't answer, or refuses.
    """
    for line, colour in plan_lines(rewriting, prefix):
        say(line, err=True, fg=colour)
    deletes = rewriting.count("delete")
    if consent.max_deletes is not None and deletes > consent.max_deletes:
        raise Refused(
            f"it would delete {deletes} keys, and --max-deletes allows {consent.max_deletes}: "
            "nothing was written",
            hint=f"look at the plan; if that is meant: --max-deletes {deletes}",
        )
    written = Written(
        revision=rewriting.revision,
        created=rewriting.count("create"),
        updated=rewriting.count("update"),
        deleted=deletes,
        unchanged=rewriting.unchanged,
        is_dry_run=consent.is_dry,
        keys=tuple((name_of(step.key, prefix.encode()), step.op) for step in rewriting.steps),
    )
    if consent.is_dry or not rewriting.steps:
        return written
    if not consent.is_given:
        _ask()
    with progress("writing", "keys") as bar:
        rewrite(destination, rewriting, prefix, bar)
    say(f"written: {len(rewriting.steps)} keys", err=True)
    return written


def to_etcd(
    settings: Settings,
    restored: Restored,
    endpoints: tuple[Endpoint, ...],
    only: str | None,
    consent: Consent,
) -> Written:
    """Let etcd at *endpoints* hold the *restored* state, as far as *only* goes; return what was done.

    Raises:
        UsageError: *only* names no resource, the archive is one of files, or nobody agreed.
        Refused: It deletes more than was allowed, or somebody else has changed a key since.
        SourceUnavailable: etcd doesn't answer, or refuses.
    """
    prefix = restored.archive.prefix
    if holds_files(restored.archive):
        raise UsageError("an archive of files can't go into etcd", hint="name the archive of etcd: --archive")
    selection = selection_of(only, prefix)
    etcd = etcd_of(settings, endpoints, prefix)
    live = keyspace.live(etcd).state
    rewriting = plan_rewriting(live, values_of(restored.state), selection, prefix)
    pairs = dangling_after(rewriting, live, prefix) if only else []
    if pairs:
        told = ", ".join(f"{one} to {other}" for one, other in pairs[:5])
        raise Refused(
            f"resources would refer to what isn't there ({told}): nothing was written",
            hint="leave out --only, or restore what they refer to first",
        )
    return carry_out(rewriting, etcd, prefix, consent)


def plan_lines(rewriting: Rewriting, prefix: str) -> list[tuple[str, str | None]]:
    """Return the plan's lines, each with its colour."""
    counts = ", ".join(f"{op} {rewriting.count(op)}" for op in OPS)
    head = f"at etcd's revision {rewriting.revision}: {counts}, unchanged {rewriting.unchanged}"
    lines: list[tuple[str, str | None]] = [(head, None)]
    for step in rewriting.steps[:_NAMED]:
        lines.append((f"{step.op:6}  {name_of(step.key, prefix.encode())}", COLOURS[step.op]))
        lines += [(f"          {line}", None) for line in _fields(step, prefix)]
    if len(rewriting.steps) > _NAMED:
        lines.append((f"... and {len(rewriting.steps) - _NAMED} more", None))
    return lines


def etcd_of(settings: Settings, endpoints: tuple[Endpoint, ...] | None, prefix: str) -> EtcdSource:
    """Return the etcd to write into: that of the settings, or at *endpoints* with all else as these say.

    Raises:
        UsageError: The settings are about another prefix than the archive.
    """
    etcd = settings.etcd
    if endpoints is not None:
        etcd = msgspec.structs.replace(etcd, endpoints=endpoints, prefix=prefix)
    if etcd.prefix != prefix:
        raise UsageError(
            f"the settings name the prefix {etcd.prefix} of etcd, and the archive has {prefix}",
            hint="set etcd.prefix as the archive has it",
        )
    return wiring.source(etcd)


def _fields(step: Step, prefix: str) -> list[str]:
    if step.seen is None or step.value is None:
        return []
    before, after = document_of(step.seen.value), document_of(step.value)
    return words(type_of(step.key, prefix.encode()), before, after)


def _ask() -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "nobody is there to agree to the plan: nothing was written", hint="look at it, and say --yes"
        )
    if not click.confirm("Write this into etcd?", err=True):
        raise UsageError("not agreed to: nothing was written", hint="--dry-run shows the plan alone")
