"""Turn a gateway from etcd to its file and back, so that every byte can be put back, whenever this is killed.

Each step is written down in the agent's home before it is taken, and may be taken again: replace config.yaml,
reload the gateway, await that it is ready. What fails is undone by the same steps with what was there before.
But unless that is forced, no gateway is reloaded into an etcd that is away: it would then have nothing.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from replicator.errors import GatewayFailed, Refused, UsageError
from replicator.flows.journal import JOURNAL, ORIGINAL, REPLACED, STANDALONE, read_journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from replicator.core.failover import Mode
    from replicator.ports import Clock, Gateway, Home

_AWAY = "etcd is away, and a reload would take from it what it runs with"
_CHANGED = "the gateway's config.yaml is neither the agent's nor the original: somebody has changed it"


class _Stranger(Exception):
    """config.yaml is neither what we wrote nor the original, and nobody has allowed us to replace it."""


class Switch:
    """Turns one gateway; owned by one thread.

    Args:
        gateway: It.
        home: Where the journal and the original are kept.
        standalone: Gives the config.yaml for the file, from the gateway's own; raises UsageError if that is
            none, or one for a file already.
        is_etcd_well: Tells whether a gateway that is reloaded now would get its configuration from etcd.
        clock: For the times in the journal.
        log: Hears of each step.
    """

    def __init__(
        self,
        gateway: Gateway,
        home: Home,
        standalone: Callable[[bytes], bytes],
        is_etcd_well: Callable[[], bool],
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._gateway = gateway
        self._home = home
        self._standalone = standalone
        self._is_etcd_well = is_etcd_well
        self._clock = clock
        self._log = log
        self.journal = read_journal(home)

    def rehearse(self) -> None:
        """Look for what would keep the gateway from being turned, before there is need of it.

        Raises:
            UsageError: Its config.yaml is none, or can't be replaced; or the reload command isn't there.
        """
        if self.journal.mode == "etcd" and self.journal.to is None:
            self._standalone(self._gateway.config())
        self._gateway.trial()

    def resume(self) -> bool:
        """Finish, or undo, what an earlier process has left under way; tell whether nothing is any more.

        Raises:
            GatewayFailed: The gateway's config.yaml can't be written: call again.
            UsageError: The home, or the gateway's config.yaml, can't be read or written.
        """
        journal = self.journal
        if journal.to is None:
            return True
        self._log.warning("switch.resumed", to=journal.goal, step=journal.step)
        self._go_on()
        return self.journal.to is None

    def turn(self, to: Mode, why: str, *, is_forced: bool = False, is_pinned: bool = False) -> bool:
        """Turn the gateway; tell whether it runs as it was told to. What fails is undone.

        To turn it to what it runs on already lets it read its config.yaml once more.

        Args:
            to: What it is to run on.
            why: In words, for the log.
            is_forced: Whether a config.yaml that somebody else has changed may be replaced; it is kept.
            is_pinned: Whether it is to stay there until it is turned back by hand.

        Raises:
            Refused: Somebody else has changed config.yaml, and we aren't forced.
            GatewayFailed: What was done can't be undone at the moment; `resume` tries again.
            UsageError: The gateway's config.yaml can't be read, or is none; or the home can't be written to.
        """
        if self.stranger():
            if not is_forced:
                raise Refused(_CHANGED, hint="replicator agent failback --force puts the original back")
            self._give_way(to)
        if to == "standalone":
            self._prepare()
        self._begin(to, why, is_forced=is_forced, is_pinned=is_pinned)
        return self._go_on()

    def stranger(self) -> bool:
        """Tell whether somebody else has changed config.yaml while it is ours."""
        journal = self.journal
        if journal.mode == "etcd" and journal.to is None:
            return False
        return _digest(self._gateway.config()) not in (journal.original, journal.written)

    def is_undone(self) -> bool:
        """Tell whether the gateway is to run on its file, and its config.yaml is the original again.

        So it is when a container was made anew.
        """
        journal = self.journal
        if journal.mode != "standalone" or journal.to is not None:
            return False
        return _digest(self._gateway.config()) == journal.original != journal.written

    def place(self, why: str) -> None:
        """Put the standalone config.yaml in place for a gateway that doesn't run yet.

        A config.yaml of somebody else's is the original from now on: it came with a newer container.

        Raises:
            GatewayFailed: It can't be written.
            UsageError: The gateway's config.yaml can't be read, or is none.
        """
        self._settle()
        if self.stranger():
            self._give_way("standalone")
        if self.journal.mode == "standalone" and not self.is_undone():
            return
        self._prepare()
        self._begin("standalone", why, is_quiet=True)
        self._go_on()
        if self.journal.failure:
            raise GatewayFailed(self.journal.failure, hint="let the agent write to the gateway's folder")

    def put_back(self, why: str) -> bool:
        """Put the original in place for a gateway that doesn't run yet; tell whether there was need to.

        Raises:
            GatewayFailed: It can't be written.
            UsageError: The gateway's config.yaml can't be read.
        """
        self._settle()
        if self.journal.mode == "etcd":
            return False
        if self.stranger():  # of a newer container, if it names etcd; else somebody's own
            with suppress(UsageError):
                self._give_way("standalone")
            return False
        is_needed = not self.is_undone()
        self._begin("etcd", why, is_quiet=True)
        self._go_on()
        return is_needed

    def note(self, *, is_paused: bool | None = None, is_pinned: bool | None = None) -> None:
        """Keep what somebody has said by hand."""
        journal = self.journal
        self._write(
            is_paused=journal.is_paused if is_paused is None else is_paused,
            is_pinned=journal.is_pinned if is_pinned is None else is_pinned,
        )

    def _settle(self) -> None:
        """Finish without a reload what was under way when the gateway ended."""
        if self.journal.to == self.journal.mode:
            self._end(self.journal.mode)
        elif self.journal.to is not None:
            self._write(is_quiet=True, step="replacing")
            self._go_on()

    def _give_way(self, to: Mode) -> None:
        """Keep what somebody else has made of config.yaml, or take it for the original."""
        if to == "etcd":
            self._home.write(REPLACED, self._gateway.config())
            return
        self._standalone(self._gateway.config())  # one that is for the file already is no original
        self._home.write(REPLACED, self._home.read(ORIGINAL) or b"")
        self._write(mode="etcd", original="", written="", unread="")

    def _prepare(self) -> None:
        """Keep the original, and what is to take its place, before anything is touched."""
        own = self._gateway.config()
        if self.journal.mode == "standalone" and _digest(own) == self.journal.written:
            return
        body = self._standalone(own)
        self._home.write(ORIGINAL, own)
        self._home.write(STANDALONE, body)
        self._write(original=_digest(own), written=_digest(body))

    def _begin(self, to: Mode, why: str, **marks: bool) -> None:
        fresh = (
            dict.fromkeys(("is_undo", "has_reloaded", "is_quiet", "is_forced", "is_pinned"), False) | marks
        )
        is_again = to == self.journal.mode == "etcd"  # any config.yaml is the original there
        step = "reloading" if is_again else "replacing"
        self._write(to=to, step=step, why=why, failure="", unread="", **fresh)
        self._log.warning("switch.begun", to=to, cause=why)

    def _go_on(self) -> bool:
        """Take the steps that are left; tell whether the gateway runs as *to* says."""
        to = self.journal.to
        try:
            if not self._move():
                return False  # nobody wants to wait any more: the next process does
        except (GatewayFailed, _Stranger) as failure:
            self._log.error("switch.failed", to=self.journal.goal, cause=str(failure))
            return self._fail(failure)
        if self.journal.is_undo:
            self._end(self.journal.mode, failure=self.journal.failure, unread=self.journal.unread)
            self._log.warning("switch.undone", mode=self.journal.mode, cause=self.journal.failure)
            return False
        self._end(self.journal.goal)
        self._log.warning("switch.done", mode=to)
        return True

    def _move(self) -> bool:
        """Take the steps to the goal that are left; tell whether the last one was taken."""
        if self.journal.step == "replacing":
            self._replace()
            journal = self.journal
            if journal.is_quiet or (journal.is_undo and not journal.has_reloaded):
                return True  # the gateway has read nothing else meanwhile
            self._write(step="reloading", has_reloaded=True)
        if self.journal.step == "reloading":
            if self._would_take_all():
                if not self.journal.is_undo:
                    raise GatewayFailed(_AWAY, hint="it is tried again once etcd is well")
                self._write(unread=_AWAY)
                return True
            self._gateway.reload()
            self._write(step="awaiting")
        return self._gateway.await_ready()

    def _would_take_all(self) -> bool:
        """Tell whether a gateway that is reloaded now would be left with no configuration."""
        journal = self.journal
        is_meant = journal.is_forced and not journal.is_undo
        return journal.goal == "etcd" and not is_meant and not self._is_etcd_well()

    def _replace(self) -> None:
        journal = self.journal
        body = self._kept(ORIGINAL if journal.goal == "etcd" else STANDALONE)
        now = self._gateway.config()
        if now == body:
            return
        is_ours = _digest(now) in (journal.original, journal.written)
        other = self._home.read(STANDALONE if journal.goal == "etcd" else ORIGINAL) or b""
        if not is_ours and not journal.is_forced and not _is_torn(now, body, other):
            raise _Stranger("config.yaml was changed by somebody else amid the switch")
        self._gateway.replace_config(body)

    def _fail(self, failure: Exception) -> bool:
        """Begin to undo what has failed; if the undoing fails itself, leave it at that."""
        journal, cause = self.journal, str(failure)
        is_unread = journal.step == "reloading" or (journal.has_reloaded and isinstance(failure, _Stranger))
        if not journal.is_undo and journal.to != journal.mode and not isinstance(failure, _Stranger):
            self._write(is_undo=True, step="replacing", failure=cause)
            return self._go_on()
        if journal.step == "replacing" and isinstance(failure, GatewayFailed):
            raise failure  # config.yaml may be half of the one and half of the other: it must be put right
        self._end(journal.mode, failure=journal.failure or cause, unread=cause if is_unread else "")
        self._log.warning("switch.undone", mode=self.journal.mode, cause=self.journal.failure)
        return False

    def _end(self, mode: Mode, failure: str = "", unread: str = "") -> None:
        self._write(
            mode=mode,
            to=None,
            step="resting",
            is_undo=False,
            has_reloaded=False,
            is_pinned=self.journal.is_pinned and mode == "standalone",
            ended_at=self._clock.now(),
            undone=self.journal.undone + 1 if failure else 0,
            failure=failure,
            unread=unread,
        )

    def _kept(self, name: str) -> bytes:
        body = self._home.read(name)
        expected = self.journal.original if name == ORIGINAL else self.journal.written
        if body is None or _digest(body) != expected:
            raise UsageError(
                f"agent.home has lost {name}, or it was changed",
                hint="put the gateway's config.yaml right by hand",
            )
        return body

    def _write(self, **changes: object) -> None:
        """Write down first what holds from now on: what can't be written down doesn't hold."""
        journal = msgspec.structs.replace(self.journal, **changes)
        self._home.write(JOURNAL, msgspec.json.encode(journal))
        self.journal = journal


def _is_torn(now: bytes, one: bytes, other: bytes) -> bool:
    """Tell whether *now* may be what a kill has left of writing *one* over *other* in place."""
    longest = max(len(one), len(other))
    pairs = zip(one.ljust(len(now), b"\0"), other.ljust(len(now), b"\0"), now, strict=False)
    return len(now) <= longest and all(byte in (first, second) for first, second, byte in pairs)


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
