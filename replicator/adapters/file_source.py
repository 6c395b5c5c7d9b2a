"""Files as a `Source`: what differs from what is recorded is the next revision.

Files have no revisions, no history and no identity of their own. So all three are the archive's: each term
tells the source where the log ends, and it counts on from there. What has changed while nobody watched, be it
on another machine, is one revision, and late.
"""

from __future__ import annotations

import threading
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from replicator.adapters.file_sight import Patience, Unreadable, WatchedFile
from replicator.adapters.file_wake import Wake
from replicator.core.file_changes import changes
from replicator.core.records import Batch
from replicator.core.state import State
from replicator.errors import Compacted, SourceUnavailable
from replicator.ports import Delivery, SourceStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from replicator.core.records import Record
    from replicator.core.stamp import Unstamped
    from replicator.ports import Clock

_IDENTITY: Final = "files"  # the same everywhere: a standby on another machine goes on with this history
_JOURNAL: Final = 256  # revisions that can still be read
_NOT_STAMPED: Final = datetime(1970, 1, 1, tzinfo=UTC)


class FileSource:
    """The files at the absolute paths *files*; what is no longer among them counts as deleted.

    Args:
        files: What is recorded.
        clock: Stamps, and measures how long a file has been left alone.
        tell: Hears of an event of the log about a file: its name, the path, and why.
        patience: How long a file must have been left alone.
    """

    def __init__(
        self,
        files: Sequence[str],
        clock: Clock,
        tell: Callable[[str, str, str], None] = lambda event, path, cause: None,  # noqa: ARG005
        patience: Patience | None = None,
    ) -> None:
        self._clock = clock
        self._tell = tell
        self._patience = patience or Patience()
        self._files = [WatchedFile(path, clock, self._patience) for path in dict.fromkeys(files)]
        self._contents: dict[str, bytes | None] = {}
        self._oldest = State(0)
        self._state = State(0)
        self._journal: deque[tuple[Unstamped, datetime]] = deque()
        self._wake = Wake(file.path for file in self._files)
        self._interrupted = threading.Event()

    def continue_from(self, state: State, revision: int) -> None:
        """Go on from where an archive ends: at *state*, and everything is known up to *revision*."""
        self._oldest = state.copy()
        self._oldest.revision = max(state.revision, revision)
        self._state = self._oldest.copy()
        self._journal.clear()
        for file in self._files:
            file.forget()

    def status(self) -> SourceStatus:
        """Look at the files, and tell the revision that they now are.

        Raises:
            SourceUnavailable: None of them can be read.
        """
        for file in self._files:
            file.begin()
        while not self._scan():
            self._clock.sleep(self._patience.quiet_s)
        if not any(body is not None for body in self._contents.values()):
            raise SourceUnavailable(
                "none of the files of instance.files can be read: "
                + ", ".join(f"{file.path} ({_cause(file)})" for file in self._files),
                hint="check the paths, and that this user may read the files and enter their folders",
            )
        return SourceStatus(cluster_id=_IDENTITY, version=_IDENTITY, head=self._state.revision)

    def read(self, revision: int) -> Iterator[tuple[bytes, Record]]:
        """Yield all files as of *revision*: see `Source.read`."""
        if revision < self._oldest.revision:
            raise Compacted(self._oldest.revision)
        state = self._oldest.copy()
        for (number, events), _ in self._journal:
            if number <= revision:
                state.apply(Batch(number, _NOT_STAMPED, events))
        yield from state.items()

    def watch(self, after: int) -> Iterator[Delivery]:
        """Return what changes after revision *after*: see `Source.watch`."""
        if after < self._oldest.revision:
            raise Compacted(self._oldest.revision)
        return self._deliveries(after)

    def interrupt(self) -> None:
        """End the watch after one more look: see `Source.interrupt`."""
        self._interrupted.set()
        self._wake.nudge()

    def neighbour(self) -> bytes | None:
        """Return None: there are no other keys than those of the files."""
        return None

    def _deliveries(self, after: int) -> Iterator[Delivery]:
        ends_at: float | None = None
        try:
            while True:
                at = self._clock.now()
                is_whole = self._scan()
                for revision, since in [each for each in self._journal if each[0][0] > after]:
                    yield Delivery(at=since, revisions=(revision,))
                    after = revision[0]
                if is_whole:
                    yield Delivery(at=at, revisions=(), through=after)
                if self._interrupted.is_set():
                    ends_at = ends_at or self._clock.monotonic() + self._patience.gone_s
                    if is_whole or self._clock.monotonic() > ends_at:
                        return
                self._wake.wait(self._patience.poll_s if is_whole else self._patience.quiet_s)
        finally:
            self._wake.close()

    def _scan(self) -> bool:
        """Take in what has changed, all at once, as one revision; tell whether nothing is left for later."""
        for file in self._files:
            file.look()
        new = [file for file in self._files if file.is_new]
        if not new:
            return True
        if not all(file.is_settled for file in new):
            return False
        since = max(file.since for file in new)
        seen = [(file, file.sight) for file in new]
        found = {file.path: file.read() for file in new if file.sight is not None}
        if None in found.values() or any(file.look() for file in self._files):
            return False  # one was written meanwhile, and they may belong together
        for file, sight in seen:
            self._take(file, found.get(file.path))
            file.taken(sight)
        events = changes(self._state, self._contents)
        if events:
            self._append((self._state.revision + 1, events), since)
        return True

    def _take(self, file: WatchedFile, body: bytes | Unreadable | None) -> None:
        if isinstance(body, Unreadable):
            self._tell("file.unreadable", file.path, body.cause)
            self._contents[file.path] = None
        elif body is None:
            self._tell("file.missing", file.path, "no such file")
            self._contents.pop(file.path, None)
        else:
            self._contents[file.path] = body
        if file.is_restless:
            self._tell("file.restless", file.path, "it is written all the time")

    def _append(self, revision: Unstamped, since: datetime) -> None:
        self._state.apply(Batch(revision[0], _NOT_STAMPED, revision[1]))
        self._journal.append((revision, since))
        while len(self._journal) > _JOURNAL:
            (number, events), _ = self._journal.popleft()
            self._oldest.apply(Batch(number, _NOT_STAMPED, events))


def _cause(file: WatchedFile) -> str:
    if isinstance(file.sight, Unreadable):
        return file.sight.cause
    return "no such file" if file.sight is None else "can't be read"
