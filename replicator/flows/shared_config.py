"""What control and data plane must share: fetched while all is well, kept for when it isn't."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.apisix.gateway_config import standalone_config
from replicator.errors import ReplicatorError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from replicator.apisix import Options
    from replicator.apisix.gateway_config import Provider
    from replicator.ports import Home

SHARED = "config.yaml.shared"


class SharedConfig:
    """The control plane's config.yaml, as *home* has it.

    Args:
        home: Where it is kept.
        fetch: Gets the newest one from where it is recorded; None if nobody has recorded one yet.
        options_of: Says what is known of the gateway that has such a config.yaml; raises UsageError if that
            can't be used. Of None, what is known without one.
        log: Hears of what can't be fetched or used, once for each reason.
    """

    def __init__(
        self,
        home: Home,
        fetch: Callable[[], bytes | None],
        options_of: Callable[[bytes | None], Options],
        log: FilteringBoundLogger,
    ) -> None:
        self._home = home
        self._fetch = fetch
        self._options_of = options_of
        self._log = log
        self._told = {"fetch": "", "use": "", "options": ""}
        self._known: tuple[bytes | None, Options] | None = None

    def step(self) -> None:
        """Fetch the newest one; where that fails, the one before stays."""
        try:
            body = self._fetch()
            if body is not None and body != self._home.read(SHARED):
                self._home.write(SHARED, body)
            self._tell("fetch", "")
        except ReplicatorError as error:
            self._tell("fetch", str(error))

    def options(self) -> Options:
        """Return what is known of the gateway: by the newest one that can be used, or else without.

        What it decrypts with decides what is in its file, so that the first one is fetched here and now.

        Raises:
            UsageError: The settings can't be used.
        """
        body = self._home.read(SHARED)
        if body is None and self._known is None:
            self.step()
            body = self._home.read(SHARED)
        if self._known is None or self._known[0] != body:
            self._known = body, self._usable_options(body)
        return self._known[1]

    def _usable_options(self, body: bytes | None) -> Options:
        try:
            options = self._options_of(body)
        except UsageError as error:
            if body is None:
                raise
            self._tell("options", str(error))
            return self._known[1] if self._known is not None else self._options_of(None)
        self._tell("options", "")
        return options

    def standalone(self, own: bytes, provider: Provider) -> bytes:
        """Return the standalone config.yaml for the node's *own*: with what is shared, or else without.

        A gateway that serves by its own settings is better than none.

        Raises:
            UsageError: *own* is no configuration of APISIX, or one for a file already.
        """
        shared = self._home.read(SHARED)
        if shared is not None:
            try:
                made = standalone_config(own, shared, provider)
            except UsageError as error:
                self._tell("use", str(error))
            else:
                self._tell("use", "")
                return made
        return standalone_config(own, None, provider)

    def _tell(self, what: str, cause: str) -> None:
        if cause and cause != self._told[what]:
            self._log.error("agent.unshared", cause=cause)
        self._told[what] = cause
