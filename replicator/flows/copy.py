"""Keep what a gateway reads without etcd fresh from the archive, and hold back what looks like a wipe."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from replicator import __version__
from replicator.apisix import render
from replicator.core.quantities import format_time
from replicator.core.wipe_guard import Held, judge
from replicator.errors import ArchiveDamaged, ReplicatorError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from structlog.typing import FilteringBoundLogger

    from replicator.apisix import Options, Rendering
    from replicator.apisix.formats import Format
    from replicator.core.wipe_guard import WipeRule
    from replicator.flows.tail import Tail
    from replicator.ports import Clock, Home, Target

MEMORY = "copy.json"

# Where a plugin list and the plugin's first use come in one write, a worker of the gateway may be left
# without the item; a second write heals it.
_AGAIN_AFTER = timedelta(seconds=3)


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What was given to the gateway last; kept in the agent's home.

    Attributes:
        archive_id: Of which archive.
        epoch: The state's epoch.
        revision: Its revision.
        content: SHA-256 of what the gateway reads: the bytes without comments.
        sha256: Of all bytes.
        counts: How many items of each type are in them.
        plugins: Digest of the plugin list, empty if there is none.
        written_at: When.
    """

    archive_id: str
    epoch: int
    revision: int
    content: str
    sha256: str
    counts: dict[str, int]
    plugins: str = ""
    written_at: datetime


class CopyTold(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the copy.

    Attributes:
        written: What the gateway has; None if it was never given anything.
        observed_through: All that was committed until then is in the copy; None if nobody knows.
        held: Why a change is held back from the gateway; empty if none is.
        held_since: Since when.
        failure: Why the copy isn't kept fresh at the moment; empty if it is.
        refused: How many keys of the state can't be put into the file.
        unopened: Items with a field that looks encrypted, and no key of the keyring opens it.
    """

    written: Written | None = None
    observed_through: datetime | None = None
    held: str = ""
    held_since: datetime | None = None
    failure: str = ""
    refused: int = 0
    unopened: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyRules:
    """What the copy is made for.

    Attributes:
        options: What is known of the gateway; the prefix is the archive's.
        prefix: The prefix that the archive must be of.
        form: ``yaml`` or ``json``.
        guard: What is held back.
    """

    options: Options
    prefix: str
    form: Format
    guard: WipeRule


class Copy:
    """The newest state of an archive, as a gateway's *target* has it; `step` again and again.

    One thread steps; `told` may be read, and `confirm` called, from any.
    """

    def __init__(
        self,
        tail: Tail,
        target: Target,
        home: Home,
        rules: CopyRules,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._tail = tail
        self._target = target
        self._home = home
        self._rules = rules
        self._clock = clock
        self._log = log
        self._held: Held | None = None
        self._is_confirmed = False
        self._is_due = False
        self._again: tuple[datetime, list[bytes]] | None = None
        self.told = CopyTold(written=self._remembered())

    def confirm(self) -> None:
        """Let the change that is held back through."""
        self._is_confirmed = True

    def step(self) -> None:
        """Take up what is new, and give it to the gateway. What fails is told, and tried again."""
        try:
            self._is_due = self._tail.poll() or self._is_due or self._held is not None
            if self._is_due:
                self._give()
                self._is_due = False
            self._write_again()
        except ReplicatorError as error:
            self._fail(error)
            return
        if self.told.failure:
            self._log.info("copy.recovered", revision=self._tail.state.revision)
        self.told = msgspec.structs.replace(
            self.told, failure="", observed_through=self._tail.observed_through
        )

    def _give(self) -> None:
        """Give the state to the gateway, unless it has it, or it is held back."""
        self._check()
        options = replace(self._rules.options, prefix=self._tail.archive.prefix.rstrip("/").encode())
        items = ((key, record.value) for key, record in self._tail.state.items())
        rendering = render(items, options, self._rules.form)
        self.told = msgspec.structs.replace(
            self.told, refused=len(rendering.report.refused), unopened=rendering.report.unopened
        )
        if self._is_held_back(rendering):
            return
        content, before = _digest(rendering.chunks()), self.told.written
        if before is not None and before.content == content and self._target.digest() == before.sha256:
            self.told = msgspec.structs.replace(self.told, written=self._moved_on(before))
            return
        chunks = list(rendering.chunks(self._comment(rendering)))
        self._target.put(chunks)
        self._log.info(
            "copy.written",
            epoch=self._tail.epoch,
            revision=self._tail.state.revision,
            size_bytes=sum(map(len, chunks)),
        )
        self._remember(rendering, content, chunks)

    def _moved_on(self, written: Written) -> Written:
        """Return *written* for a state that gives the gateway nothing new, such as one with heartbeats."""
        return msgspec.structs.replace(written, epoch=self._tail.epoch, revision=self._tail.state.revision)

    def _check(self) -> None:
        archive, before = self._tail.archive, self.told.written
        if archive.prefix != self._rules.prefix:
            raise UsageError(
                f"the archive records the prefix {archive.prefix}, and etcd.prefix is {self._rules.prefix}",
                hint="name this gateway's archive",
            )
        here = self._tail.epoch, self._tail.state.revision
        if before is None or before.archive_id != archive.archive_id:
            return
        if here < (before.epoch, before.revision):
            raise ArchiveDamaged(
                f"the archive ends at revision {here[1]} of epoch {here[0]}, and the gateway has revision "
                f"{before.revision} of epoch {before.epoch} already: it keeps that",
                hint="is it an older copy? Bring back the newer one; or remove copy.json from agent.home",
            )

    def _is_held_back(self, rendering: Rendering) -> bool:
        before = self.told.written
        if before is None or self._is_confirmed:
            held = None
        else:
            held = judge(self._rules.guard, before.counts, rendering.counts, self._held, self._clock.now())
        self._is_confirmed = False
        if held is not None and self._held is None:
            self._log.error("copy.held_back", revision=self._tail.state.revision, cause=held.why)
        self._held = held
        self.told = msgspec.structs.replace(
            self.told, held=held.why if held else "", held_since=held.since if held else None
        )
        return held is not None

    def _remember(self, rendering: Rendering, content: str, chunks: list[bytes]) -> None:
        before, now = self.told.written, self._clock.now()
        plugins = self._plugins()
        written = Written(
            archive_id=self._tail.archive.archive_id,
            epoch=self._tail.epoch,
            revision=self._tail.state.revision,
            content=content,
            sha256=_digest(chunks),
            counts=rendering.counts,
            plugins=plugins,
            written_at=now,
        )
        self.told = msgspec.structs.replace(self.told, written=written)
        self._home.write(MEMORY, msgspec.json.encode(written))
        if before is not None and before.plugins != plugins:
            self._again = now + _AGAIN_AFTER, chunks

    def _write_again(self) -> None:
        if self._again is not None and self._clock.now() >= self._again[0]:
            self._target.put(self._again[1])
            self._again = None

    def _plugins(self) -> str:
        key = self._tail.archive.prefix.rstrip("/").encode() + b"/plugins"
        record = dict(self._tail.state.items()).get(key)
        return hashlib.sha256(record.value).hexdigest() if record else ""

    def _comment(self, rendering: Rendering) -> list[str]:
        """Return what the file says of itself: the same for the same state, whenever it is written."""
        state, report = self._tail.state, rendering.report
        stamp = format_time(self._tail.observed_at)
        return [
            f"Kept fresh by replicator {__version__} from archive {self._tail.archive.archive_id}.",
            f"revision {state.revision} of epoch {self._tail.epoch}, {stamp}; {len(state)} keys",
            f"refused {len(report.refused)}, inexact {len(report.inexact)}: `restore --latest` names them",
            f"state_digest {state.digest}",
        ]

    def _remembered(self) -> Written | None:
        body = self._home.read(MEMORY)
        try:
            return msgspec.json.decode(body, type=Written) if body else None
        except msgspec.DecodeError:  # it is worth a write more, and no stop
            return None

    def _fail(self, error: ReplicatorError) -> None:
        if self.told.failure != str(error):
            self._log.error("copy.failed", cause=str(error))
        self.told = msgspec.structs.replace(self.told, failure=str(error))


def _digest(chunks: Iterable[bytes]) -> str:
    whole = hashlib.sha256()
    for chunk in chunks:
        whole.update(chunk)
    return whole.hexdigest()
