"""What ``verify`` says to people: lines, and the colour of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.core.quantities import human_duration, human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.cli.drill import Drill
    from replicator.flows.verify_full import Full
    from replicator.flows.verify_live import Comparison, Live

Words = tuple[str, str | None]

_FINE, _BAD = "green", "red"


def full_words(full: Full, seconds: float) -> Iterator[Words]:
    """Yield the lines about ``--full``, which took so many *seconds*."""
    read = full.verified
    yield (
        (
            f"full     {_many(read.epochs, 'epoch')}, {_many(read.segments, 'segment')}, "
            f"{_many(read.snapshots, 'snapshot')}, {_many(read.revisions, 'revision')}: "
            f"{_many(read.objects, 'object')}, {human_size(read.size_bytes)}, in {human_duration(seconds)}"
        ),
        None,
    )
    for damage in full.damages:
        yield f"DAMAGED  {damage.object}", _BAD
        yield f"         what  {damage.what}", None
        yield f"         lost  {damage.lost}", None
        yield f"         try   {damage.remedy}", None
    for note in full.notes:
        more = f" and {note.objects - 1} more" if note.objects > 1 else ""
        yield f"note     {note.first}{more}: {note.what}", None
    if full.damages:
        yield f"         {len(full.damages)} damaged", _BAD
    else:
        yield "ok       every digest fits, from the first object to the last", _FINE


def live_words(live: Live, seed: int) -> Iterator[Words]:
    """Yield the lines about ``--live``."""
    ahead = f"{live.lag_revisions} ahead of what the archive knows" if live.lag_revisions else "not ahead"
    yield f"live     etcd {live.cluster_id} at revision {live.head}, {ahead} (seed {seed})", None
    if live.first_held is None:
        yield "         no revision of the newest epoch is held by both: nothing can be compared", None
    else:
        first = live.first_held
        yield f"         both hold revision {first} and later; what lies before is compacted or thinned", None
    for one in live.comparisons:
        yield from _comparison(one)
    for fault in live.faults:
        yield f"DIFFERS  {fault}", _BAD
    if live.is_alike and any(one.keys is not None for one in live.comparisons):
        yield "ok       what both hold is alike", _FINE


def _comparison(one: Comparison) -> Iterator[Words]:
    if one.keys is None:
        yield f"         revision {one.revision}: compacted or thinned meanwhile, not comparable", None
        return
    verdict = f"{_many(one.differing, 'key')} not alike" if one.differing else "alike"
    yield f"         revision {one.revision}: {_many(one.keys, 'key')} in etcd, {verdict}", None
    for difference in one.differences:
        yield f"DIFFERS  {difference.key}: {difference.how}", _BAD
    if one.differing > len(one.differences):
        yield f"         ... and {one.differing - len(one.differences)} more", None


def drill_words(drill: Drill) -> Iterator[Words]:
    """Yield the lines about ``--drill``."""
    yield f"drill    restore {drill.target} (seed {drill.seed})", None
    if drill.revision is not None:
        items = ", ".join(f"{count} {section}" for section, count in drill.items.items()) or "no items"
        took = human_duration(drill.restore_seconds)
        size = human_size(drill.size_bytes)
        yield f"         revision {drill.revision}, {items}, {size}, in {took}", None
    for fault in drill.faults:
        yield f"WRONG    {fault}", _BAD
    if not drill.faults:
        yield "ok       the files are whole, private, and hold what was recorded", _FINE


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
