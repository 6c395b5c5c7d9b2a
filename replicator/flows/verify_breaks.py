"""Where a log breaks: what is to blame, and which moments that costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.core.names import LogName
from replicator.core.replay import HoleInLog
from replicator.flows.findings import NOTHING_LOST, moments

if TYPE_CHECKING:
    from datetime import datetime

    from replicator.core.names import MergedName
    from replicator.core.replay import Replay
    from replicator.errors import ArchiveDamaged
    from replicator.flows.findings import Findings

_REMAKE = "delete it: all that it was made of is there, and `replicator compact` makes it anew"


@dataclass(slots=True)
class _Break:
    """From *known* on the log can't be folded because of *name*, but for snapshots if it *has_islands*."""

    name: str
    what: str
    known: tuple[int, datetime]
    before: tuple[int, datetime] | None = None
    has_islands: bool = False

    @property
    def lost(self) -> str:
        """The words for what it costs."""
        words = moments(self.known, self.before, inclusive=False)
        return f"{words}, but for the snapshots between" if self.has_islands else words


class Breaks:
    """Holds a break back until it is known where the history goes on.

    Attributes:
        known: How far the log is folded: a revision and its stamp.
        spoilt: The merged objects that have to be done without, and why.
    """

    def __init__(self, epoch: int, findings: Findings) -> None:
        self._epoch = epoch
        self._findings = findings
        self._open: _Break | None = None
        self._begun_at = -1
        self._blamed: set[str] = set()
        self.known: tuple[int, datetime]
        self.spoilt: dict[MergedName, ArchiveDamaged] = {}

    def begin(self, replay: Replay) -> None:
        """Take note that a snapshot is whole, and the fold goes on from there."""
        self.known = replay.state.revision, replay.observed_at
        self._begun_at = replay.state.revision
        if self._open is not None and self._open.before is None:
            self._open.before = self.known

    def go_on(self, replay: Replay) -> None:
        """Take note that the fold has come as far as *replay*."""
        self.known = replay.state.revision, replay.observed_at
        self._tell()

    def culprit(self) -> MergedName | None:
        """Return the spoilt merged object that should lead on from where the fold stands, if there is one."""
        return next((name for name in self.spoilt if name.after <= self.known[0] < name.last), None)

    def tell(self, damage: ArchiveDamaged) -> None:
        """Take down that the fold can't go on because of *damage*."""
        name, what = str(LogName(self._epoch, self.known[0])), str(damage)
        spoilt = self.culprit()
        if spoilt is not None and (isinstance(damage, HoleInLog) or self.spoilt[spoilt] is damage):
            name, what = str(spoilt), str(self.spoilt[spoilt])
        self._blamed.add(name)
        if self._open is not None and self._open.name == name and self._begun_at == self.known[0]:
            self._open.before, self._open.has_islands = None, True
            return
        self._tell()
        self._open = _Break(name, what, self.known)

    def close(self) -> None:
        """Tell of all that is left, at the epoch's end."""
        self._findings.is_cut = self._open is not None and self._open.before is None
        self._tell()
        for name, damage in self.spoilt.items():
            if str(name) not in self._blamed:
                self._findings.damage(str(name), str(damage), NOTHING_LOST, _REMAKE)

    def _tell(self) -> None:
        if self._open is not None:
            self._findings.damage(self._open.name, self._open.what, self._open.lost)
            self._open = None
