"""What lies beside a merged object under names within its range: its sources, and what others have left."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from replicator.core.merged import segments_of
from replicator.core.names import LogName, MergedName
from replicator.errors import ArchiveDamaged, ObjectMissing
from replicator.flows.fetch import fetch
from replicator.flows.findings import NOTHING_LOST
from replicator.flows.open_archive import log, merged

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from replicator.core.names import PieceName
    from replicator.flows.findings import Findings
    from replicator.ports import ObjectStore

_HELD = "held by a merged object as well: it goes once the grace time is over"
_STRAY = "inside of what a merged object holds, of a stale writer; passed over"
_OTHER = "not what the merged object over it holds there: of a stale writer; never read"
_DELETE = "delete it: a merged object that is whole holds what it held"
_LONELY = "merged object that nothing leads to: others hold more, or it lies behind a hole"


def look_beside(
    store: ObjectStore, holder: MergedName, held: Mapping[int, str], findings: Findings
) -> list[MergedName]:
    """Compare all that lies within the range of *holder*, which is whole, with what it holds.

    Args:
        store: Where the archive is.
        holder: The merged object.
        held: The SHA-256 of each segment in it, by the revision that it starts after.
        findings: Where to what is found.

    Returns:
        The merged objects among it.
    """
    names = list(_within(store, holder))
    for name in names:
        if isinstance(name, LogName) and name.after not in held:
            findings.note(str(name), _STRAY)
    waiting = [name for name in names if isinstance(name, MergedName) or name.after in held]
    while waiting:
        waiting = _compare(store, waiting, held, findings)
    return [name for name in names if isinstance(name, MergedName)]


def look_at_lonely(store: ObjectStore, epoch: int, known: Collection[MergedName], findings: Findings) -> None:
    """Prove each merged object of *epoch* that isn't among those *known*."""
    for name in [name for name in merged(store, epoch) if name not in known]:
        try:
            for _ in segments_of(store.get(str(name)), name):
                pass
        except ObjectMissing:  # taken away meanwhile
            continue
        except ArchiveDamaged as damage:
            findings.damage(str(name), str(damage), NOTHING_LOST)
        else:
            findings.note(str(name), _LONELY)


def _within(store: ObjectStore, holder: MergedName) -> Iterator[PieceName]:
    yield from takewhile(lambda name: name.after < holder.last, log(store, holder.epoch, holder.after))
    for name in merged(store, holder.epoch):
        if name != holder and holder.after <= name.after and name.last <= holder.last:
            yield name


def _compare(
    store: ObjectStore, names: list[PieceName], held: Mapping[int, str], findings: Findings
) -> list[PieceName]:
    """Compare *names* up to the first that can't be read; return those after that."""
    done, bodies = 0, fetch(store, names)
    try:
        for name, body in bodies:
            is_same = all(
                held.get(name.after if isinstance(name, LogName) else segment.header.revision)
                == segment.digest
                for segment in segments_of(body, name)
            )
            findings.note(str(name), _HELD if is_same else _OTHER)
            done += 1
    except ObjectMissing:  # its time has come
        pass
    except ArchiveDamaged as damage:
        findings.damage(str(names[done]), str(damage), NOTHING_LOST, _DELETE)
    finally:
        bodies.close()
    return names[done + 1 :]
