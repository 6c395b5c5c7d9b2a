"""The gateway's file: fresh, never older than it was, and never wiped by one change."""

from __future__ import annotations

import json
from dataclasses import replace

from aes import encrypted
from archives import quiet_log
from copies import RULES, Story, routes

from replicator.apisix import Options
from replicator.flows.copy import MEMORY, Copy, CopyRules
from replicator.flows.tail import Tail


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
    rules = CopyRules(Options, "/other", "yaml", RULES.guard)
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


def test_another_keyring_renders_all_anew() -> None:
    keyring = [b"qeddd145sfvddff3"]
    rules = replace(RULES, options=lambda: Options(keyring=tuple(keyring)))
    story = Story(rules)
    sealed = encrypted("jo's key", b"0123456789abcdef")
    consumer = {"username": "jo", "plugins": {"key-auth": {"key": sealed}}}
    story.put(b"/apisix/consumers/jo", json.dumps(consumer).encode())
    story.copy.step()
    assert sealed.encode() in story.disk.written[-1]
    keyring[:] = [b"0123456789abcdef"]
    story.copy.step()
    assert b"jo's key" in story.disk.written[-1]
    assert routes(story.disk.written[-1]) == 6
    assert not story.copy.told.unopened
