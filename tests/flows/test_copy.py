"""The gateway's file: fresh, never older than it was, and never wiped by one change."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from archives import Scribe, quiet_log
from etcd_model import EtcdModel
from generators import START
from servers.clock import SteppedClock
from spools import Outage

from replicator.apisix import Options
from replicator.core.records import Batch
from replicator.core.wipe_guard import WipeRule
from replicator.errors import UsageError
from replicator.flows.copy import MEMORY, Copy, CopyRules
from replicator.flows.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Sequence

RULES = CopyRules(Options(), "/apisix", "yaml", WipeRule(0.5, timedelta(minutes=10)))


class Disk:
    """A home and a target in memory; *written* holds each file that the gateway was given."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.written: list[bytes] = []
        self.is_full = False

    def read(self, name: str) -> bytes | None:
        """Return the file."""
        return self.files.get(name)

    def write(self, name: str, body: bytes) -> None:
        """Write the file."""
        self.files[name] = body

    def remove(self, name: str) -> None:
        """Remove the file."""
        self.files.pop(name, None)

    def digest(self) -> str:
        """Return that of the last file."""
        return hashlib.sha256(self.written[-1]).hexdigest() if self.written else ""

    def put(self, chunks: Sequence[bytes]) -> None:
        """Take a file."""
        if self.is_full:
            raise UsageError("can't write apisix.yaml: no space left on device")
        self.written.append(b"".join(chunks))


class Story:
    """An etcd, its archive, and the copy of a gateway beside it."""

    def __init__(self) -> None:
        self.etcd, self.clock, self.disk = EtcdModel(), SteppedClock(), Disk()
        self.store = Outage()
        self.scribe = Scribe(self.store)
        routes = [(b"/apisix/routes/%d" % number, b'{"uri":"/%d"}' % number, 0) for number in range(6)]
        self.etcd.transact(routes)
        self.scribe.open(self.etcd, START)
        self.copy = self.started()

    def started(self) -> Copy:
        """Return a copy as a new process makes it."""
        log, self.log = quiet_log()
        return Copy(Tail(self.store, self.clock), self.disk, self.disk, RULES, self.clock, log)

    def record(self) -> None:
        """Let the last change be in the archive."""
        revision, events = self.etcd.history[-1]
        self.scribe.append([Batch(revision, START + timedelta(seconds=revision), events)])

    def put(self, key: bytes, value: bytes) -> None:
        """Change a key, and record that."""
        self.etcd.put(key, value)
        self.record()

    def wipe(self, but: int) -> None:
        """Delete all routes but so many."""
        for number in range(but, 6):
            self.etcd.delete(b"/apisix/routes/%d" % number)
            self.record()

    def said(self, event: str) -> int:
        """Return how often it has logged *event*."""
        return len([entry for entry in self.log.entries if entry["event"] == event])


def routes(file: bytes) -> int:
    return file.count(b'"uri"')


def test_the_file_follows_the_archive() -> None:
    story = Story()
    story.copy.step()
    assert routes(story.disk.written[-1]) == 6
    assert story.disk.written[-1].endswith(b"#END\n")
    story.put(b"/apisix/routes/7", b'{"uri":"/7"}')
    story.copy.step()
    story.copy.step()
    assert [routes(file) for file in story.disk.written] == [6, 7]
    told = story.copy.told
    assert told.written is not None
    assert told.written.counts == {"routes": 7}
    assert told.written.revision == story.etcd.head
    assert not told.failure


def test_heartbeats_write_nothing_and_a_restart_neither() -> None:
    story = Story()
    story.copy.step()
    for number in range(3):
        story.put(b"/apisix/data_plane/server_info/x", b"%d" % number)
        story.copy.step()
    assert len(story.disk.written) == 1
    again = story.started()
    again.step()
    assert len(story.disk.written) == 1
    assert again.told.written is not None
    assert again.told.written.revision == story.etcd.head


def test_a_file_that_somebody_has_changed_is_put_right() -> None:
    story = Story()
    story.copy.step()
    story.disk.written.append(b"rubbish")
    story.put(b"/apisix/data_plane/server_info/x", b"1")
    story.copy.step()
    assert routes(story.disk.written[-1]) == 6


def test_a_wipe_is_held_back_until_it_is_confirmed() -> None:
    story = Story()
    story.copy.step()
    story.wipe(1)
    story.copy.step()
    assert routes(story.disk.written[-1]) == 6
    assert story.copy.told.held == "5 of 6 resources would go"
    assert story.said("copy.held_back") == 1
    story.clock.sleep(300)
    story.copy.step()
    assert routes(story.disk.written[-1]) == 6
    story.copy.confirm()
    story.copy.step()
    assert routes(story.disk.written[-1]) == 1
    assert not story.copy.told.held


def test_a_wipe_that_lasts_is_believed_and_one_that_heals_never_was() -> None:
    story = Story()
    story.copy.step()
    story.wipe(1)
    story.copy.step()
    for number in range(1, 6):
        story.put(b"/apisix/routes/%d" % number, b'{"uri":"/%d"}' % number)
    story.copy.step()
    assert not story.copy.told.held
    assert routes(story.disk.written[-1]) == 6
    story.wipe(0)
    story.copy.step()
    assert story.copy.told.held
    story.clock.sleep(601)
    story.copy.step()
    assert routes(story.disk.written[-1]) == 0


def test_a_wipe_while_no_agent_ran_is_held_back_as_well() -> None:
    story = Story()
    story.copy.step()
    story.wipe(0)
    again = story.started()
    again.step()
    assert again.told.held
    assert routes(story.disk.written[-1]) == 6


def test_an_older_copy_of_the_archive_is_refused() -> None:
    story = Story()
    older = dict(story.store.objects)
    story.put(b"/apisix/routes/7", b'{"uri":"/7"}')
    story.copy.step()
    story.store.objects.clear()
    story.store.objects.update(older)
    again = story.started()
    again.step()
    assert "and the gateway has revision" in again.told.failure
    assert len(story.disk.written) == 1


def test_another_prefixs_archive_is_refused() -> None:
    story = Story()
    log, _ = quiet_log()
    rules = CopyRules(Options(), "/other", "yaml", RULES.guard)
    copy = Copy(Tail(story.store, story.clock), story.disk, story.disk, rules, story.clock, log)
    copy.step()
    assert "the archive records the prefix /apisix" in copy.told.failure
    assert not story.disk.written


def test_a_store_that_is_away_and_a_full_disk_leave_the_file_as_it_is() -> None:
    story = Story()
    story.copy.step()
    story.store.is_away = True
    story.copy.step()
    story.copy.step()
    assert "away" in story.copy.told.failure
    assert story.said("copy.failed") == 1
    story.store.is_away = False
    story.put(b"/apisix/routes/7", b'{"uri":"/7"}')
    story.disk.is_full = True
    story.copy.step()
    assert "no space left" in story.copy.told.failure
    story.disk.is_full = False
    story.copy.step()
    assert [routes(file) for file in story.disk.written] == [6, 7]
    assert story.said("copy.recovered") == 1
    assert not story.copy.told.failure


def test_a_change_of_the_plugin_list_is_written_twice() -> None:
    story = Story()
    story.copy.step()
    story.put(b"/apisix/plugins", b'[{"name":"cors"}]')
    story.copy.step()
    assert len(story.disk.written) == 2
    story.clock.sleep(4)
    story.copy.step()
    story.clock.sleep(4)
    story.copy.step()
    assert len(story.disk.written) == 3
    assert story.disk.written[1] == story.disk.written[2]


def test_a_memory_that_is_damaged_costs_a_write() -> None:
    story = Story()
    story.copy.step()
    story.disk.files[MEMORY] = b"{"
    story.started().step()
    assert len(story.disk.written) == 2


def test_an_archive_that_is_not_there_yet_is_waited_for() -> None:
    story = Story()
    objects = dict(story.store.objects)
    story.store.objects.clear()
    story.copy.step()
    assert "there is no archive" in story.copy.told.failure
    assert story.copy.told.written is None
    story.store.objects.update(objects)
    story.copy.step()
    assert routes(story.disk.written[-1]) == 6
