"""A gateway that is turned and back: killed before and after each step, failing at each, and put right."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import Any

import pytest
from gateway_machine import NOTHING, ORIGINAL, STANDALONE, Killed, Machine, switch_of
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import GatewayFailed, Refused, UsageError
from replicator.flows.journal import JOURNAL, read_journal


def test_there_and_back() -> None:
    machine = Machine()
    switch = switch_of(machine)
    assert switch.turn("standalone", "a test")
    assert (machine.config, machine.running, switch.journal.mode) == (STANDALONE, STANDALONE, "standalone")
    assert switch.turn("etcd", "a test")
    assert (machine.config, machine.running, switch.journal.mode) == (ORIGINAL, ORIGINAL, "etcd")
    assert machine.reloads == 2


@pytest.mark.parametrize("to", ["standalone", "etcd"])
def test_killed_at_any_step_it_is_finished_or_never_was(to: Any) -> None:
    for die_at in itertools.count():
        machine = Machine()
        if to == "etcd":
            switch_of(machine).turn("standalone", "before")
        machine.effects, machine.die_at, before = 0, die_at, machine.reloads
        try:
            switch_of(machine).turn(to, "a test")
        except Killed:
            pass
        else:
            assert die_at > 10
            return
        machine.die_at = None
        again = switch_of(machine)
        may_have_reloaded = again.journal.step == "reloading"  # nobody can know: it is done again
        again.resume()
        said = f"killed at {die_at}"
        expected = ORIGINAL if again.journal.mode == "etcd" else STANDALONE
        assert machine.config == machine.running == expected, said
        assert again.journal.to is None, said
        assert machine.reloads - before <= 1 + may_have_reloaded, said
        assert again.turn(to, "once more"), said
        assert machine.config == machine.running == (ORIGINAL if to == "etcd" else STANDALONE), said
        assert again.turn("etcd", "and back"), said
        assert machine.config == machine.running == ORIGINAL, said


@pytest.mark.parametrize("to", ["standalone", "etcd"])
@pytest.mark.parametrize("what", ["replace", "reload", "ready"])
def test_what_fails_is_undone_and_killed_meanwhile_too(to: Any, what: str) -> None:
    for die_at in [None, *range(40)]:
        machine = Machine()
        if to == "etcd":
            switch_of(machine).turn("standalone", "before")
        before = machine.config
        machine.effects, machine.die_at, machine.failing = 0, die_at, {what}
        with suppress(Killed, GatewayFailed):
            assert not switch_of(machine).turn(to, "a test")
        machine.die_at, machine.failing = None, set()
        again = switch_of(machine)
        again.resume()
        assert again.journal.to is None
        mode = again.journal.mode
        assert machine.config == (ORIGINAL if mode == "etcd" else STANDALONE), die_at
        if die_at is None:
            assert machine.config == before
            assert again.journal.failure == f"{what} fails"
            assert again.journal.undone == 1


@pytest.mark.parametrize("what", ["replace", "reload", "ready"])
def test_while_etcd_is_away_an_undo_takes_nothing_from_the_gateway(what: str) -> None:
    for die_at in [None, *range(40)]:
        machine = Machine()
        machine.is_etcd_well, machine.die_at, machine.failing = False, die_at, {what}
        with suppress(Killed, GatewayFailed):
            assert not switch_of(machine).turn("standalone", "a test")
        machine.die_at, machine.failing = None, machine.failing - {"replace"}
        again = switch_of(machine)
        again.resume()
        assert again.journal.to is None, die_at
        assert machine.running != NOTHING, die_at
        assert machine.config == ORIGINAL or again.journal.mode == "standalone", die_at
        machine.is_etcd_well, machine.failing = True, set()
        assert machine.running == machine.config or again.journal.unread, die_at
        assert again.turn(again.journal.mode, "once more"), die_at
        assert machine.running == machine.config, die_at
        assert not again.journal.unread, die_at


def test_while_etcd_is_away_no_gateway_is_turned_back_unless_that_is_forced() -> None:
    for die_at in [None, *range(40)]:
        machine = Machine()
        switch_of(machine).turn("standalone", "an outage")
        machine.effects, machine.die_at = 0, die_at
        with suppress(Killed):  # etcd is gone by when the next process goes on
            machine.is_etcd_well = die_at is not None
            assert switch_of(machine).turn("etcd", "it was well a moment ago") is machine.is_etcd_well
        machine.die_at, machine.is_etcd_well = None, False
        was_done = machine.running == ORIGINAL
        again = switch_of(machine)
        again.resume()
        assert again.journal.to is None, die_at
        assert machine.running != NOTHING, die_at
        if not was_done:
            assert machine.running == machine.config == STANDALONE, die_at
        assert again.turn("etcd", "asked for by hand", is_forced=True), die_at
        assert machine.config == ORIGINAL, die_at


steps = st.tuples(st.sampled_from(["standalone", "etcd"]), st.none() | st.integers(0, 30))


@given(st.lists(steps, max_size=8))
def test_whatever_happens_the_original_can_be_put_back(story: list[tuple[Any, int | None]]) -> None:
    machine = Machine()
    for to, die_at in story:
        machine.effects, machine.die_at = 0, die_at
        try:
            switch = switch_of(machine)
            switch.resume()
            if switch.journal.mode != to:
                switch.turn(to, "a test")
        except Killed:
            continue
    machine.die_at = None
    switch = switch_of(machine)
    switch.resume()
    if switch.journal.mode == "standalone":
        assert switch.turn("etcd", "at the end")
    assert machine.config == machine.running == ORIGINAL


def test_what_somebody_else_has_changed_is_not_overwritten_unless_forced() -> None:
    machine = Machine()
    switch = switch_of(machine)
    switch.turn("standalone", "a test")
    machine.config = b"edited"
    assert switch.stranger()
    with pytest.raises(Refused, match="somebody has changed it"):
        switch.turn("etcd", "a test")
    assert machine.config == b"edited"
    assert switch.turn("etcd", "a test", is_forced=True)
    assert machine.config == ORIGINAL


def test_a_container_that_was_made_anew_is_noticed() -> None:
    machine = Machine()
    switch = switch_of(machine)
    switch.turn("standalone", "a test")
    assert not switch.is_undone()
    machine.config = ORIGINAL
    assert switch.is_undone()
    assert switch.turn("standalone", "again")
    assert machine.config == STANDALONE


def test_an_edit_before_an_outage_is_the_original_of_the_next_one() -> None:
    machine = Machine()
    switch = switch_of(machine)
    switch.turn("standalone", "one")
    switch.turn("etcd", "two")
    machine.config = b"a newer original\n"
    switch.turn("standalone", "three")
    switch.turn("etcd", "four")
    assert machine.config == b"a newer original\n"


def test_a_gateway_that_does_not_run_yet_is_prepared_without_a_reload() -> None:
    machine = Machine()
    switch = switch_of(machine)
    switch.place("etcd is away")
    switch.place("etcd is away still")
    assert (machine.config, machine.reloads, switch.journal.mode) == (STANDALONE, 0, "standalone")
    assert switch_of(machine).put_back("etcd is back")
    assert (machine.config, machine.reloads) == (ORIGINAL, 0)
    assert not switch_of(machine).put_back("etcd is back")


def test_a_lost_original_and_a_damaged_journal_are_told() -> None:
    machine = Machine()
    switch = switch_of(machine)
    switch.turn("standalone", "a test")
    del machine.files["config.yaml.original"]
    with pytest.raises(UsageError, match=r"has lost config\.yaml\.original"):
        switch.turn("etcd", "a test")
    machine.files[JOURNAL] = b"{"
    with pytest.raises(UsageError, match="is damaged"):
        read_journal(machine)
