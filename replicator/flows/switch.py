"""Turn a gateway from etcd to its file and back, so that every byte can be put back, whenever this is killed.

Each step is written down in the agent's home before it is taken, and each may be taken again.
"""

from __future__ import annotations

import hashlib
from datetime import datetime  # noqa: TC003 (msgspec asks for it)
from typing import TYPE_CHECKING, Literal

import msgspec

from replicator.core.failover import Mode  # noqa: TC001 (likewise)
from replicator.errors import GatewayFailed, Refused, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from replicator.ports import Clock, Gateway, Home

JOURNAL = "state.json"
ORIGINAL = "config.yaml.original"
STANDALONE = "config.yaml.standalone"


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """Where the switch stands.

    Attributes:
        mode: What the gateway runs on, as far as the last whole switch says.
        to: Where it is being turned; None while nothing is under way.
        step: The step of that which may have been taken, or not.
        original: SHA-256 of the gateway's own config.yaml, kept in the home; empty before the first switch.
        written: SHA-256 of the config.yaml that was put in its place.
        is_paused: Whether nothing is to be switched but by hand.
        is_pinned: Whether the gateway was turned to the file by hand.
        undone: How many switches in a row were undone.
        ended_at: When the last switch ended; None if there was none.
        why: Why it was done.
        failure: Why it was undone; empty if it wasn't.
    """

    mode: Mode = "etcd"
    to: Mode | None = None
    step: Literal["resting", "replacing", "reloading", "undoing"] = "resting"
    original: str = ""
    written: str = ""
    is_paused: bool = False
    is_pinned: bool = False
    undone: int = 0
    ended_at: datetime | None = None
    why: str = ""
    failure: str = ""


class Switch:
    """Turns one gateway; owned by one thread.

    Args:
        gateway: It.
        home: Where the journal and the original are kept.
        standalone: Gives the config.yaml for the file, from the gateway's own.
        clock: For the times in the journal.
        log: Hears of each step.
    """

    def __init__(
        self,
        gateway: Gateway,
        home: Home,
        standalone: Callable[[bytes], bytes],
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._gateway = gateway
        self._home = home
        self._standalone = standalone
        self._clock = clock
        self._log = log
        self.journal = read_journal(home)

    def resume(self) -> None:
        """Finish, or undo, what an earlier process has left under way.

        Raises:
            GatewayFailed: The gateway's config.yaml can't be written: call again.
            UsageError: The home, or the gateway's config.yaml, can't be read or written.
        """
        journal = self.journal
        if journal.to is None:
            return
        self._log.warning("switch.resumed", to=journal.to, step=journal.step)
        if self.stranger():
            self._end(journal.mode, failure="config.yaml was changed by somebody else amid the switch")
        elif journal.step == "undoing":
            self._undo(journal.failure, is_reloaded=True)
        else:
            self._carry_out()

    def turn(self, to: Mode, why: str, *, is_forced: bool = False) -> bool:
        """Turn the gateway; tell whether it runs as it was told to. What fails is undone.

        Args:
            to: What it is to run on.
            why: In words, for the log.
            is_forced: Whether a config.yaml that somebody else has changed may be replaced.

        Raises:
            Refused: Somebody else has changed it, and we aren't forced.
            GatewayFailed: What was done can't be undone at the moment; `resume` tries again.
            UsageError: The gateway's config.yaml can't be read, or isn't one; nothing was changed.
        """
        if to == "standalone":
            self._prepare()
        elif self.stranger() and not is_forced:
            raise Refused(
                "the gateway's config.yaml is neither the agent's nor the original: somebody has changed it",
                hint="replicator agent failback --force puts the original back over it",
            )
        self._write(to=to, step="replacing", why=why, failure="")
        return self._carry_out()

    def rehearse(self) -> None:
        """Find out before there is need whether the gateway could be turned to its file; nothing is changed.

        Raises:
            UsageError: Its config.yaml can't be read, or isn't one.
        """
        if self.journal.mode == "etcd":
            self._standalone(self._gateway.config())

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

        Raises:
            GatewayFailed: It can't be written.
            UsageError: The gateway's config.yaml can't be read, or isn't one.
        """
        if self.journal.mode == "standalone" and not self.is_undone():
            return
        self._prepare()
        self._write(to="standalone", step="replacing", why=why)
        self._gateway.replace_config(self._kept(STANDALONE))
        self._end("standalone")

    def put_back(self, why: str) -> bool:
        """Put the original in place for a gateway that doesn't run yet; tell whether there was need to.

        Raises:
            GatewayFailed: It can't be written.
            UsageError: The gateway's config.yaml can't be read.
        """
        if self.journal.mode == "etcd" or self.stranger():
            return False
        self._write(to="etcd", step="replacing", why=why)
        self._gateway.replace_config(self._kept(ORIGINAL))
        self._end("etcd")
        return True

    def note(self, *, is_paused: bool | None = None, is_pinned: bool | None = None) -> None:
        """Keep what somebody has said by hand."""
        journal = self.journal
        self._write(
            is_paused=journal.is_paused if is_paused is None else is_paused,
            is_pinned=journal.is_pinned if is_pinned is None else is_pinned,
        )

    def fail(self, why: str, failure: str) -> None:
        """Take note of a switch that could not even begin: the next try has to wait as well."""
        self._write(why=why)
        self._end(self.journal.mode, failure=failure)

    def _prepare(self) -> None:
        """Keep the original, and what is to take its place, before anything is touched."""
        own = self._gateway.config()
        if self.journal.mode == "standalone" and _digest(own) == self.journal.written:
            return
        body = self._standalone(own)
        self._home.write(ORIGINAL, own)
        self._home.write(STANDALONE, body)
        self._write(original=_digest(own), written=_digest(body))

    def _carry_out(self) -> bool:
        to = self.journal.to
        self._log.warning("switch.begun", to=to, cause=self.journal.why)
        is_reloaded = False
        try:
            self._gateway.replace_config(self._kept(STANDALONE if to == "standalone" else ORIGINAL))
            self._write(step="reloading")
            is_reloaded = True
            self._gateway.reload()
            self._gateway.await_ready()
        except GatewayFailed as failure:
            self._log.error("switch.failed", to=to, cause=str(failure))
            self._undo(str(failure), is_reloaded=is_reloaded)
            return False
        self._end(to or self.journal.mode)
        self._log.warning("switch.done", mode=self.journal.mode)
        return True

    def _undo(self, failure: str, *, is_reloaded: bool) -> None:
        """Put back what was there before the switch under way."""
        self._write(step="undoing", failure=failure)
        self._gateway.replace_config(self._kept(ORIGINAL if self.journal.mode == "etcd" else STANDALONE))
        if is_reloaded:
            try:
                self._gateway.reload()
                self._gateway.await_ready()
            except GatewayFailed as again:  # it has what it had before; more can't be done from here
                self._log.error("switch.failed", to=self.journal.mode, cause=str(again))
        self._end(self.journal.mode, failure=failure)
        self._log.warning("switch.undone", mode=self.journal.mode, cause=failure)

    def _end(self, mode: Mode, failure: str = "") -> None:
        self._write(
            mode=mode,
            to=None,
            step="resting",
            ended_at=self._clock.now(),
            undone=self.journal.undone + 1 if failure else 0,
            failure=failure,
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
        self.journal = msgspec.structs.replace(self.journal, **changes)
        self._home.write(JOURNAL, msgspec.json.encode(self.journal))


def read_journal(home: Home) -> Journal:
    """Return where the switch stands; as at the beginning if nobody has written that down.

    Raises:
        UsageError: What is there can't be read: the original may be in the home all the same.
    """
    body = home.read(JOURNAL)
    if body is None:
        return Journal()
    try:
        return msgspec.json.decode(body, type=Journal)
    except msgspec.DecodeError:
        raise UsageError(
            f"agent.home: {JOURNAL} is damaged",
            hint=f"look at the gateway's config.yaml, whose original is {ORIGINAL} there; then remove it",
        ) from None


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
