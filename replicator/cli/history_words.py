"""What the history says, for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from replicator.apisix.fields import document_of, patch, words
from replicator.apisix.report import shown
from replicator.apisix.resource import is_heartbeat, name_of, type_of
from replicator.core.quantities import format_time, human_duration
from replicator.flows.changes import Break

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.core.records import Window
    from replicator.flows.changes import Change, KeyChange

# How many fields a line names, and how many keys the lines of a break.
_FIELDS = 4
_KEYS = 20

_TOUCHED = "update_time"


class ChangeLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What ``history --json`` says of one key.

    Attributes:
        resource: As people call it.
        key: The key; ``base64:`` and its base64 if it is no UTF-8.
        op: ``create``, ``update``, ``delete``, or ``expire``: the end of its lease took it.
        version: etcd's version of the key behind it; 0 if it is gone.
        patch: RFC 6902's operations, ``***`` for secrets unless ``--reveal``; none for keys that come or go.
    """

    resource: str
    key: str
    op: str
    version: int
    patch: tuple[dict[str, Any], ...] = ()


class HistoryLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What ``history --json`` says of one revision, or of a stretch whose revisions aren't known.

    Attributes:
        time: The stamp, RFC 3339.
        late_by: By how many seconds it may be earlier than that; 0 if it was seen live.
        epoch: The epoch's number.
        revision: etcd's revision.
        kind: ``change``, ``gap`` or ``thinned``.
        others: How many keys it changed that weren't asked for.
        since: Of a gap or a thinned stretch: until when all is known before it.
        reason: Of a gap: why the epoch was opened.
        changes: Each key.
    """

    time: str
    late_by: float
    epoch: int
    revision: int
    kind: str
    others: int = 0
    since: str = ""
    reason: str = ""
    changes: tuple[ChangeLine, ...]


class Teller:
    """Tells changes of an archive of *prefix*; secrets only if *reveal*, heartbeats only if *heartbeats*."""

    def __init__(self, prefix: str, *, reveal: bool, heartbeats: bool) -> None:
        self._prefix = prefix.encode()
        self._reveal = reveal
        self._heartbeats = heartbeats

    def shown(self, item: Change | Break) -> list[KeyChange]:
        """Return what of *item* is told; of a change with nothing nothing is."""
        return [one for one in item.changes if self._heartbeats or not is_heartbeat(one.key, self._prefix)]

    def line(self, item: Change | Break) -> HistoryLine:
        """Return the JSON object for *item*."""
        time, changes = format_time(item.observed_at), self.shown(item)
        if isinstance(item, Break):
            return HistoryLine(
                time=time,
                late_by=0.0,
                epoch=item.epoch,
                revision=item.revision,
                kind=item.kind,
                since=format_time(item.begins_at),
                reason=item.reason,
                changes=tuple(self._line(one, is_expiry=False) for one in changes),
            )
        return HistoryLine(
            time=time,
            late_by=_late_s(item.window),
            epoch=item.epoch,
            revision=item.revision,
            kind="change",
            others=item.others,
            changes=tuple(self._line(one, is_expiry=item.is_expiry) for one in changes),
        )

    def words(self, item: Change | Break) -> Iterator[str]:
        """Yield the lines for *item*: one, or for a transaction one and an indented one for each key."""
        changes = self.shown(item)
        if isinstance(item, Break):
            yield from self._break_words(item, changes)
            return
        told = [self._words(one, is_expiry=item.is_expiry) for one in changes]
        others = f"  (and {item.others} more keys in one transaction)" if item.others else ""
        late_s = _late_s(item.window)
        sure = f" ~{human_duration(late_s)}" if late_s else ""
        lead = f"{format_time(item.observed_at)}{sure}  {item.revision}"
        if len(told) == 1:
            yield f"{lead}  {told[0]}{others}"
            return
        yield f"{lead}  a transaction of {len(told) + item.others} keys{others}"
        yield from (f"    {line}" for line in told)

    def _break_words(self, item: Break, changes: list[KeyChange]) -> Iterator[str]:
        until = f"{format_time(item.begins_at)} to {format_time(item.observed_at)}"
        if item.kind == "thinned":
            yield f"-- {until}: thinned by retention; the single changes are no longer kept"
            return
        yield f"-- {until}: A GAP ({item.reason}); nobody saw the single changes, {len(changes)} keys differ"
        yield from (f"    {self._words(one, is_expiry=False)}" for one in changes[:_KEYS])
        if len(changes) > _KEYS:
            yield f"    ... and {len(changes) - _KEYS} more"

    def _line(self, one: KeyChange, *, is_expiry: bool) -> ChangeLine:
        steps: list[dict[str, Any]] = []
        if one.before is not None and one.after is not None:
            before, after = document_of(one.before.value), document_of(one.after.value)
            steps = patch(type_of(one.key, self._prefix), before, after, reveal=self._reveal)
        return ChangeLine(
            resource=name_of(one.key, self._prefix),
            key=shown(one.key),
            op=op_of(one, is_expiry=is_expiry),
            version=one.after.version if one.after else 0,
            patch=tuple(steps),
        )

    def _words(self, one: KeyChange, *, is_expiry: bool) -> str:
        return f"{op_of(one, is_expiry=is_expiry):6}  {name_of(one.key, self._prefix)}{self._summary(one)}"

    def _summary(self, one: KeyChange) -> str:
        if one.after is None:
            return ""
        after = document_of(one.after.value)
        if one.before is None:
            told = [
                f"{name} {after[name]}" for name in ("name", "uri", "username", "desc") if _has(after, name)
            ]
        else:
            lines = words(
                type_of(one.key, self._prefix), document_of(one.before.value), after, reveal=self._reveal
            )
            told = [line for line in lines if not line.startswith(f"{_TOUCHED}:")] or lines
            told = told or ["the same value once more"]
        more = f"; and {len(told) - _FIELDS} more fields" if len(told) > _FIELDS else ""
        return f"  {'; '.join(told[:_FIELDS])}{more}" if told else ""


def op_of(one: KeyChange, *, is_expiry: bool = False) -> str:
    """Return what happened to a key in one word."""
    if one.after is None:
        return "expire" if is_expiry else "delete"
    return "create" if one.before is None else "update"


def _has(document: Any, name: str) -> bool:
    return isinstance(document, dict) and isinstance(document.get(name), str)


def _late_s(window: Window | None) -> float:
    return (window.not_after - window.not_before).total_seconds() if window else 0.0
