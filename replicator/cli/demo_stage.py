"""Where the demo is played: the pace of the story, and an ear on the recorder all the while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.cli.demo_document import StepLine
from replicator.core.quantities import format_time
from replicator.demo.player import Player, Watcher
from replicator.demo.story import Mood
from replicator.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from replicator.adapters.recorder import Recorder
    from replicator.cli.demo_screen import Screen
    from replicator.demo.player import Keys, Played
    from replicator.demo.story import Step
    from replicator.ports import Clock, ObjectStore

_BEFORE_S = {Mood.WORK: 0.4, Mood.MISTAKE: 0.8, Mood.REPAIR: 0.6}
_PATIENCE_S = 30
_POLL_S = 0.04


class Stage:
    """Plays a day once, step by step; in a hurry unless the screen is animated."""

    def __init__(
        self, clock: Clock, screen: Screen, keys: Keys, recorder: Recorder, store: ObjectStore
    ) -> None:
        self.clock = clock
        self.screen = screen
        self.store = store
        self._player = Player(keys, clock)
        self._recorder = recorder
        self._watcher = Watcher(store)
        self._played: list[Played] = []

    def play(self, steps: Sequence[Step]) -> None:
        """Let all *steps* happen, and return when the archive has them.

        Raises:
            SourceUnavailable: etcd takes no writes.
            StoreUnavailable: The recorder doesn't record.
        """
        self._until(lambda: self._watcher.is_recording)
        self.screen.heading(self._watcher.etcd_version)
        with self.screen.live():
            for step in steps:
                self.pause(_BEFORE_S[step.mood])
                self._played.append(self._player.play(step))
            self._until(lambda: self._played[-1].revision in self._watcher.stored)

    def pause(self, seconds: float) -> None:
        """Let the audience look for *seconds*, if there is one."""
        if self.screen.is_animated:
            end_s = self.clock.monotonic() + seconds
            self._listen(lambda: self.clock.monotonic() >= end_s)

    def stamp_after(self, steps: int) -> datetime:
        """Return the archive's stamp of the last change of the first *steps* steps."""
        return self._watcher.stored[self._played[steps - 1].revision].observed_at

    @property
    def etcd_version(self) -> str:
        """The version of the etcd that is recorded."""
        return self._watcher.etcd_version

    @property
    def segments(self) -> tuple[str, ...]:
        """The archive's objects that hold what was played, in order."""
        return tuple(dict.fromkeys(stored.segment for stored in self._watcher.stored.values()))

    def lines(self) -> tuple[StepLine, ...]:
        """Return what was played, as the archive has it."""
        return tuple(map(self._line, self._played))

    def _line(self, played: Played) -> StepLine:
        step, stored = played.step, self._watcher.stored[played.revision]
        return StepLine(
            story_time=step.at,
            what=step.what,
            mood=step.mood.value,
            revisions=(played.revision - len(step.writes) + 1, played.revision),
            observed_at=format_time(stored.observed_at),
            segment=stored.segment,
            durable_after=(stored.durable_at - played.committed_at).total_seconds(),
        )

    def _until(self, is_true: Callable[[], bool]) -> None:
        deadline_s = self.clock.monotonic() + _PATIENCE_S
        self._listen(lambda: is_true() or self.clock.monotonic() >= deadline_s)
        if not is_true():
            raise StoreUnavailable(
                f"`replicator run` recorded nothing for {_PATIENCE_S} s",
                hint="this machine may be too busy: try again",
            )

    def _listen(self, is_enough: Callable[[], bool]) -> None:
        """Draw what the recorder tells, until *is_enough*."""
        while not is_enough():
            self.clock.sleep(_POLL_S)
            self._watcher.hear(self._recorder.news())
            self.screen.timeline(self._played, self._watcher.stored, self.clock.now())
