"""Keep what a gateway reads without etcd fresh from the archive, and hold back what looks like a wipe."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from replicator.apisix import Renderer
from replicator.core.quantities import format_time
from replicator.core.wipe_guard import Peak, judge, peak_after
from replicator.errors import ArchiveDamaged, GatewayFailed, ReplicatorError, UsageError
from replicator.flows.copy_told import CopyTold, Memory, Written
from replicator.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from structlog.typing import FilteringBoundLogger

    from replicator.apisix import Options, Rendering
    from replicator.apisix.formats import Format
    from replicator.core.wipe_guard import Held, WipeRule
    from replicator.flows.tail import Tail
    from replicator.ports import Clock, Home, Target

MEMORY = "copy.json"
PUSHED = "pushed.json"

# Where a plugin list and the plugin's first use come in one write, a worker of the gateway may be left
# without the item; a second write heals it.
_AGAIN_AFTER_S = 3.0

# How old the copy is matters to a next start, but not so much as to write a file each second.
_REMEMBER_EACH_S = 30.0


@dataclass(frozen=True, slots=True)
class CopyRules:
    """What the copy is made for.

    Attributes:
        options: Gives what is known of the gateway by now; the prefix is the archive's.
        prefix: The prefix that the archive must be of.
        form: ``yaml`` or ``json``; or ``api``, if the target is a gateway that keeps it in memory alone: the
            home then has it as well, for a gateway that starts while the store is away.
        guard: What is held back.
    """

    options: Callable[[], Options]
    prefix: str
    form: Format
    guard: WipeRule


@dataclass(frozen=True, slots=True)
class _Made:
    """A file that can be written, and the state that it is of."""

    rendering: Rendering
    content: str
    comment: tuple[str, ...]
    archive_id: str
    epoch: int
    revision: int
    plugins: str

    def chunks(self) -> list[bytes]:
        return list(self.rendering.chunks(self.comment))


class Copy:
    """The newest state of an archive, as a gateway's *target* has it; `step` again and again.

    One thread steps; `told` may be read, and `confirm` called, from any.

    Raises:
        UsageError: The home can't be read; or the gateway doesn't know the form.
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
        self._prefix = rules.prefix.rstrip("/").encode()
        self._options = rules.options()
        self._renderer = self._renderer_of(self._options)
        self._is_due = self._is_anew = False
        self._known_through: datetime | None = None
        self._waiting: _Made | None = None
        self._given: _Made | None = None
        self._again_at: float | None = None
        self._is_confirmed = False
        self._kept = self._remembered()
        self._keep_at = clock.monotonic()
        self._peak = self._kept.peak if self._kept else Peak()
        self._held: Held | None = self._kept.held if self._kept else None
        self.told = (
            CopyTold(written=self._kept.written, observed_through=self._kept.observed_through)
            if self._kept
            else CopyTold()
        )

    def confirm(self) -> None:
        """Let the change that is held back through, with the next step; nothing, if none is."""
        self._is_confirmed = self._held is not None

    def step(self) -> None:
        """Take up what is new, and give it to the gateway. What fails is told, and tried again.

        The gateway is looked after though the store may be away: one that has lost what it was given gets it
        again.
        """
        failures = [error for error in map(_failure_of, (self._follow, self._give)) if error is not None]
        if failures:
            self._fail(failures[0])
        elif self.told.failure:
            self._log.info("copy.recovered", revision=self._tail.state.revision)
            self._tell(failure="")

    def _follow(self) -> None:
        """Render what is new in the archive."""
        self._is_due = self._tail.poll() or self._is_due
        if (options := self._rules.options()) != self._options:  # such as another keyring: all is anew
            self._renderer, self._options = self._renderer_of(options), options
            self._is_due = self._is_anew = True
        if self._is_due:
            self._check()
            self._waiting = self._made()
            self._is_due = False
        self._known_through = self._tail.observed_through

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

    def _made(self) -> _Made:
        news = self._tail.take_news()
        if news is None or self._is_anew:
            self._renderer.reset((key, record.value) for key, record in self._tail.state.items())
        else:
            self._renderer.update((key, self._value(key)) for key in news)
        self._is_anew = False
        rendering = self._renderer.rendering()
        self._tell(refused=len(rendering.report.refused), unopened=rendering.report.unopened)
        plugins = self._value(self._prefix + b"/plugins")
        return _Made(
            rendering=rendering,
            content=_digest(rendering.chunks()),
            comment=tuple(self._comment(rendering)),
            archive_id=self._tail.archive.archive_id,
            epoch=self._tail.epoch,
            revision=self._tail.state.revision,
            plugins=_digest([plugins]) if plugins is not None else "",
        )

    def _renderer_of(self, options: Options) -> Renderer:
        return Renderer(replace(options, prefix=self._prefix), self._rules.form)

    def _value(self, key: bytes) -> bytes | None:
        record = self._tail.state.get(key)
        return None if record is None else record.value

    def _comment(self, rendering: Rendering) -> Iterator[str]:
        """Yield what the file says of itself: the same for the same state, whenever it is written."""
        state, report = self._tail.state, rendering.report
        yield f"Kept fresh by replicator {__version__} from archive {self._tail.archive.archive_id}."
        stamp = format_time(self._tail.observed_at)
        yield f"revision {state.revision} of epoch {self._tail.epoch}, {stamp}; {len(state)} keys"
        refused, inexact = len(report.refused), len(report.inexact)
        yield f"refused {refused}, inexact {inexact}: `restore --latest` names them"
        yield f"state_digest {state.digest}"

    def _give(self) -> None:
        """Give the gateway what waits for it, unless that is held back; and again what it has lost."""
        if self._waiting is not None and not self._is_held_back(self._waiting):
            self._offer(self._waiting)
            self._waiting = None
        self._look_after_the_gateway()
        if self._waiting is None and self._known_through is not None:
            self._tell(observed_through=self._known_through)
        self._remember()

    def _is_held_back(self, made: _Made) -> bool:
        guard, now, counts = self._rules.guard, self._clock.now(), made.rendering.counts
        before, was_held, held = self.told.written, self._held, None
        if before is not None:
            self._peak = peak_after(guard, self._peak, before.counts, now)
        if before is not None and not self._is_confirmed:
            held = judge(guard, self._peak.counts, counts, was_held, now)
        self._is_confirmed = False
        if held is None:
            is_believed = was_held is not None
            self._peak = Peak(counts) if is_believed else peak_after(guard, self._peak, counts, now)
        elif not self.told.held:
            self._log.error("copy.held_back", revision=made.revision, cause=held.why)
        self._held = held
        self._tell(held=held.why if held else "", held_since=held.since if held else None)
        return held is not None

    def _offer(self, made: _Made) -> None:
        """Put *made* where the gateway reads it, unless it has the same there."""
        before = self.told.written
        if before is None or before.content != made.content or self._target.digest() != before.sha256:
            self._put(made)
            if before is not None and before.plugins != made.plugins:
                self._again_at = self._clock.monotonic() + _AGAIN_AFTER_S
            return
        # Nothing new for a gateway, as when only heartbeats came.
        place = {"archive_id": made.archive_id, "epoch": made.epoch, "revision": made.revision}
        self._tell(written=msgspec.structs.replace(before, **place))
        self._given = self._given or made

    def _put(self, made: _Made) -> None:
        chunks = made.chunks()
        if self._rules.form == "api":
            self._home.write(PUSHED, b"".join(chunks))
        self._target.put(chunks)
        self._given = made
        size = sum(map(len, chunks))
        self._log.info("copy.written", epoch=made.epoch, revision=made.revision, size_bytes=size)
        written = Written(
            archive_id=made.archive_id,
            epoch=made.epoch,
            revision=made.revision,
            content=made.content,
            sha256=_digest(chunks),
            counts=made.rendering.counts,
            plugins=made.plugins,
            written_at=self._clock.now(),
        )
        self._tell(written=written)
        self._keep_at = self._clock.monotonic()

    def _look_after_the_gateway(self) -> None:
        """Write once more what must be, and what is no longer there."""
        if self._again_at is not None and self._given is not None:
            if self._clock.monotonic() >= self._again_at:
                self._target.put(self._given.chunks())
                self._again_at = None
        elif self.told.written is not None and not self._target.digest():
            self._give_again()

    def _give_again(self) -> None:
        if self._given is not None:
            self._put(self._given)
            return
        body = self._home.read(PUSHED) if self._rules.form == "api" else None
        if body is None:
            raise GatewayFailed(
                "the gateway no longer has what it was given, and the archive must be read to give it anew",
                hint="look at what else is told of the archive",
            )
        self._target.put([body])
        if (put := self.told.written) is not None:
            self._log.info("copy.written", epoch=put.epoch, revision=put.revision, size_bytes=len(body))

    def _remember(self) -> None:
        """Keep what a next start must know: at once if it is another file, else now and then."""
        if (written := self.told.written) is None:
            return
        memory = Memory(
            written=written,
            observed_through=self.told.observed_through,
            peak=self._peak,
            held=self._held,
        )
        is_due = self._clock.monotonic() >= self._keep_at or self._kept is None
        if memory != self._kept and (is_due or memory.held != self._kept.held):  # type: ignore[union-attr]
            self._home.write(MEMORY, msgspec.json.encode(memory))
            self._kept = memory
            self._keep_at = self._clock.monotonic() + _REMEMBER_EACH_S

    def _remembered(self) -> Memory | None:
        body = self._home.read(MEMORY)
        try:
            return msgspec.json.decode(body, type=Memory) if body else None
        except msgspec.DecodeError:  # it is worth a write more, and no stop
            return None

    def _fail(self, error: ReplicatorError) -> None:
        if self.told.failure != str(error):
            self._log.error("copy.failed", cause=str(error))
        self._tell(failure=str(error))

    def _tell(self, **news: object) -> None:
        self.told = msgspec.structs.replace(self.told, **news)


def _failure_of(verb: Callable[[], None]) -> ReplicatorError | None:
    try:
        verb()
    except ReplicatorError as error:
        return error
    return None


def _digest(chunks: Iterable[bytes]) -> str:
    whole = hashlib.sha256()
    for chunk in chunks:
        whole.update(chunk)
    return whole.hexdigest()
