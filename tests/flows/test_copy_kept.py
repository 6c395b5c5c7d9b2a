"""What a gateway has been given stays, through outages, wipes, damage and restarts."""

from __future__ import annotations

from copies import Story, routes
from hypothesis import given, settings
from hypothesis import strategies as st


def test_a_wipe_key_by_key_is_held_back_too() -> None:
    story = Story()
    story.copy.step()
    for number in range(6):
        story.etcd.delete(b"/apisix/routes/%d" % number)
        story.record()
        story.copy.step()
        story.clock.sleep(1)
    assert story.copy.told.held == "6 of 6 resources would go"
    assert routes(story.disk.written[-1]) == 3


def test_a_wipe_is_not_held_back_anew_by_a_restart() -> None:
    story = Story()
    story.copy.step()
    story.wipe(0)
    story.copy.step()
    story.clock.sleep(400)
    again = story.started()
    again.step()
    assert again.told.held
    story.clock.sleep(201)
    again.step()
    assert not again.told.held
    assert routes(story.disk.written[-1]) == 0


def test_a_word_of_before_confirms_no_later_wipe() -> None:
    story = Story()
    story.copy.step()
    story.copy.confirm()
    story.wipe(0)
    story.copy.step()
    assert story.copy.told.held


def test_what_is_held_back_is_not_known_to_the_gateway() -> None:
    story = Story()
    story.copy.step()
    known = story.copy.told.observed_through
    story.wipe(0)
    story.copy.step()
    assert story.copy.told.observed_through == known
    story.copy.confirm()
    story.copy.step()
    assert story.copy.told.observed_through == story.copy._tail.observed_through != known


def test_a_file_that_is_gone_is_written_again_though_the_store_is_away() -> None:
    story = Story()
    story.copy.step()
    story.disk.written.clear()
    story.store.is_away = True
    story.copy.step()
    assert routes(story.disk.written[-1]) == 6
    assert "away" in story.copy.told.failure


def test_after_a_restart_without_the_store_it_is_known_how_old_the_file_is() -> None:
    story = Story()
    story.copy.step()
    known = story.copy.told.observed_through
    story.store.is_away = True
    again = story.started()
    again.step()
    assert (again.told.observed_through, again.told.written) == (known, story.copy.told.written)
    assert len(story.disk.written) == 1
    story.disk.written.clear()
    again.step()
    assert "away" in again.told.failure
    story.store.is_away = False
    again.step()
    assert routes(story.disk.written[-1]) == 6
    assert not again.told.failure


def test_a_damaged_archive_leaves_the_file_as_it_is() -> None:
    story = Story()
    story.copy.step()
    story.put(b"/apisix/routes/7", b'{"uri":"/7"}')
    name = max(name for name in story.store.objects if "/log/" in name)
    whole = story.store.objects[name]
    story.store.objects[name] = whole[:-1]
    for _ in range(3):
        story.copy.step()
        assert name in story.copy.told.failure
    assert len(story.disk.written) == 1
    story.store.objects[name] = whole
    story.clock.sleep(6)
    story.copy.step()
    assert [routes(file) for file in story.disk.written] == [6, 7]
    assert not story.copy.told.failure


@given(st.lists(st.sampled_from(["route", "heartbeat", "wipe", "away", "back", "full", "free", "restart"])))
@settings(max_examples=40)
def test_whatever_happens_the_gateway_has_a_state_that_was_and_the_newest_in_the_end(moves) -> None:
    story = Story()
    story.copy.step()
    seen = {6}
    for number, move in enumerate(moves):
        if move == "route":
            story.put(b"/apisix/routes/new-%d" % number, b'{"uri":"/new"}')
        elif move == "heartbeat":
            story.put(b"/apisix/data_plane/server_info/x", b"%d" % number)
        elif move == "wipe":
            keys = [key for key in story.etcd.states[story.etcd.head] if b"/routes/" in key]
            story.etcd.transact([(key, None, 0) for key in keys])
            if keys:
                story.record()
        elif move in {"away", "back"}:
            story.store.is_away = move == "away"
        elif move in {"full", "free"}:
            story.disk.is_full = move == "full"
        else:
            story.copy = story.started()
        live = [key for key in story.etcd.states[story.etcd.head] if b"/routes/" in key]
        seen.add(len(live))
        story.clock.sleep(1)
        story.copy.step()
        assert routes(story.disk.written[-1]) in seen
    story.store.is_away = story.disk.is_full = False
    story.copy.step()
    story.clock.sleep(601)
    story.copy.step()
    assert routes(story.disk.written[-1]) == len(live) if moves else 6
    assert not story.copy.told.failure
