"""Which objects an archive holds: one pass over all names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.core import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replicator.core.documents import Epoch
    from replicator.flows.findings import Findings
    from replicator.ports import ObjectStore

# What belongs to an archive beside what `names` can take apart; all else is a stranger's.
_OURS = re.compile(
    r"archive\.json|checkpoint\.json|points/[^/]+\.json"
    r"|e\d{8}/(epoch\.json|gap-acknowledged\.json|gap@[^/]+\.jsonl\.zst|snapshots/[^/]+\.base\.jsonl\.zst)"
)
_EPOCH = re.compile(r"e(\d{8})/")


@dataclass(frozen=True, slots=True)
class Inventory:
    """What there is.

    Attributes:
        documents: The numbers of the epochs that have an ``epoch.json``.
        logs: The numbers of the epochs that have a piece of a log.
        bases: The names of all base snapshots, of attempts to open an epoch as well.
        gaps: The names of all gap records, likewise.
        objects: How many objects are the archive's.
    """

    documents: frozenset[int]
    logs: frozenset[int]
    bases: tuple[str, ...]
    gaps: tuple[str, ...]
    objects: int


def take_inventory(store: ObjectStore, findings: Findings) -> Inventory:
    """Return what is in *store*; names that aren't an archive's are noted in *findings*."""
    documents, logs, bases, gaps, objects = set(), set(), [], [], 0
    for name in store.names(""):
        piece = names.parse_log(name) or names.parse_merged(name)
        if not (piece or names.parse_snapshot(name) or names.parse_pruned(name) or _OURS.fullmatch(name)):
            findings.note(name, "not the archive's: its name means nothing to it, and nothing reads it")
            continue
        objects += 1
        if piece:
            logs.add(piece.epoch)
        elif name.endswith(".base.jsonl.zst"):
            bases.append(name)
        elif "/gap@" in name:
            gaps.append(name)
        elif name.endswith("/epoch.json"):
            documents.add(_epoch_of(name))
    return Inventory(frozenset(documents), frozenset(logs), tuple(bases), tuple(gaps), objects)


def note_strays(inventory: Inventory, epochs: Sequence[Epoch], findings: Findings) -> None:
    """Note the bases and gap records that none of *epochs* names, which all have to be given."""
    named = {epoch.snapshot for epoch in epochs} | {epoch.gap.name for epoch in epochs if epoch.gap}
    for name in inventory.bases:
        if name not in named:
            findings.note(name, "base of no epoch: an attempt to open one has left it; it may be deleted")
    for name in inventory.gaps:
        if name not in named:
            findings.note(name, "gap record of no epoch: an attempt to open one has left it; it may go")


def _epoch_of(name: str) -> int:
    match = _EPOCH.match(name)
    return int(match[1]) if match else 0
