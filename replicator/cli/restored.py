"""A restored state as it goes out: the bytes of the file, and the words about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from replicator.apisix import Inexact, Refusal, Report, Stripped, render
from replicator.apisix.adc import to_adc
from replicator.apisix.formats import adc_chunks
from replicator.core.quantities import format_time, human_duration
from replicator.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replicator.apisix import Options
    from replicator.apisix.formats import Format, Style
    from replicator.core.records import Record
    from replicator.flows.restore import Restored

# How many keys of a kind are named on stderr and in the file's comment; --report names all.
_NAMED = 100


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--report`` and ``--json`` say: which moment this is, and what the file can't say of it.

    Attributes:
        archive_id: As in archive.json.
        epoch: The epoch that the moment lies in.
        revision: etcd's revision of the state's last change.
        time: Stamp of that revision, RFC 3339.
        late_by: By how many seconds the answer may be off in time; 0 if all was seen live.
        state_digest: Digest of the state, proved against the writer's.
        keys: How many keys were live, whatever they hold.
        refused: Keys that hold configuration which must not be put into the file.
        ignored: Keys that are no configuration.
        inexact: Items that are in the file although the gateway will hold them a little differently.
        stripped: Items that are in the file without plugins which the gateway doesn't load.
        in_gap: Whether the moment that was asked for lies in a gap; this is then the last state before it.
        gap_ends_at: When that gap ends, RFC 3339; None outside of one.
        unopened: Items in the file with a field that looks encrypted, and no key of the keyring opens it.
    """

    archive_id: str
    epoch: int
    revision: int
    time: str
    late_by: float
    state_digest: str
    keys: int
    in_gap: bool = False
    gap_ends_at: str | None = None
    refused: tuple[Refusal, ...] = ()
    ignored: tuple[str, ...] = ()
    inexact: tuple[Inexact, ...] = ()
    stripped: tuple[Stripped, ...] = ()
    unopened: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The file's bytes, in chunks that can be read once, and what is told of them."""

    told: Told
    chunks: Iterable[bytes]

    def report(self) -> bytes:
        """Return ``--report``'s document."""
        return msgspec.json.format(msgspec.json.encode(self.told), indent=2)

    def words(self) -> Iterator[str]:
        """Yield the lines for people, and for the file's comment: keys as they are, whatever they hold."""
        told = self.told
        if told.in_gap:
            yield (
                "IN A GAP: nobody recorded what happened then. This is the last state before the gap, "
                f"which ends at {told.gap_ends_at}"
            )
        yield f"revision {told.revision} of epoch {told.epoch}, {told.time}; {told.keys} keys"
        if told.late_by:
            yield (
                f"its time is uncertain by up to {human_duration(told.late_by)}: "
                "changes around it were seen late"
            )
        yield from _listed("refused", [f"{one.key}: {one.reason}{_loss(one)}" for one in told.refused])
        yield from _listed("inexact", [f"{one.key}: {one.why}" for one in told.inexact])
        yield from _listed(
            "without plugins", [f"{one.key}: {', '.join(one.plugins)}" for one in told.stripped]
        )
        yield from _listed("perhaps still encrypted, no key of the keyring opens", list(told.unopened))
        yield from _listed("ignored", list(told.ignored))


def key_values(restored: Restored) -> Answer:
    """Return the state as JSON lines, sorted by key: what etcd's own range at that revision holds."""
    return Answer(told_of(restored, Report()), (_line(key, record) for key, record in restored.state.items()))


def standalone_file(
    restored: Restored, options: Options, format_: Format | Literal["adc"], style: Style
) -> Answer:
    """Return the state as the gateway's file, or as ADC's.

    Args:
        restored: The state.
        options: What is known of the gateway.
        format_: ``yaml``, ``json`` or ``adc``.
        style: ``flow`` or ``block``.
    """
    if format_ == "adc":
        return _adc_file(restored, options, style)
    items = ((key, record.value) for key, record in restored.state.items())
    rendering = render(items, options, format_, style)
    told = told_of(restored, rendering.report)
    about = [
        f"Made by replicator {__version__} from archive {told.archive_id}.",
        *Answer(told, ()).words(),
        f"state_digest {told.state_digest}",
    ]
    return Answer(told, rendering.chunks(about))


def _adc_file(restored: Restored, options: Options, style: Style) -> Answer:
    """Return ADC's file: what it can't say is told as refused, what it says otherwise as inexact."""
    items = ((key, record.value) for key, record in restored.state.items())
    rendering = render(items, options, "api")
    made = to_adc(msgspec.json.decode(b"".join(rendering.chunks())))
    prefix = options.prefix.decode()
    report = rendering.report
    refused = tuple(
        Refusal(_key(prefix, name), why, held_by_gateway=True) for name, why in made.left_out.items()
    )
    inexact = tuple(
        Inexact(_key(prefix, name), "; ".join(whys)) for name, whys in made.inexact.items() if whys
    )
    told = told_of(
        restored,
        msgspec.structs.replace(
            report, refused=(*report.refused, *refused), inexact=(*report.inexact, *inexact)
        ),
    )
    about = [
        f"Made by replicator {__version__} from archive {told.archive_id}, for ADC.",
        *Answer(told, ()).words(),
    ]
    return Answer(told, adc_chunks(made, style, about))


def _key(prefix: str, name: tuple[str, str]) -> str:
    section, id_ = name
    return f"{prefix}/{section}/{id_}" if id_ else f"{prefix}/{section}"


def told_of(restored: Restored, report: Report) -> Told:
    """Return what is said of a restored state, and of what the file lacks by *report*."""
    return Told(
        archive_id=restored.archive.archive_id,
        epoch=restored.epoch.epoch,
        revision=restored.state.revision,
        time=format_time(restored.replay.observed_at),
        late_by=restored.late_by.total_seconds(),
        state_digest=restored.state.digest,
        keys=len(restored.state),
        in_gap=restored.gap is not None,
        gap_ends_at=format_time(restored.gap.observed_at) if restored.gap else None,
        refused=report.refused,
        ignored=report.ignored,
        inexact=report.inexact,
        stripped=report.stripped,
        unopened=report.unopened,
    )


def _listed(what: str, entries: list[str]) -> Iterator[str]:
    if entries:
        yield f"{what} ({len(entries)}):"
    yield from (f"  {entry}" for entry in entries[:_NAMED])
    if len(entries) > _NAMED:
        yield f"  ... and {len(entries) - _NAMED} more: --report FILE names all"


def _loss(refusal: Refusal) -> str:
    return " (a gateway on etcd holds it: a loss)" if refusal.held_by_gateway else ""


class _Line(msgspec.Struct, omit_defaults=True, kw_only=True):
    key: str | None = None
    key_base64: bytes | None = None
    value: str | None = None
    value_base64: bytes | None = None
    create_revision: int
    mod_revision: int
    version: int
    lease: int


def _line(key: bytes, record: Record) -> bytes:
    line = _Line(
        create_revision=record.create_revision,
        mod_revision=record.mod_revision,
        version=record.version,
        lease=record.lease,
    )
    try:
        line.key = key.decode()
    except UnicodeDecodeError:
        line.key_base64 = key
    try:
        line.value = record.value.decode()
    except UnicodeDecodeError:
        line.value_base64 = record.value
    return msgspec.json.encode(line) + b"\n"
