"""A switch that is interrupted: by SIGTERM, a half-written file, a full disk, an editor, a container."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from gateway_machine import ORIGINAL, STANDALONE, Killed, Machine, switch_of

from replicator.errors import GatewayFailed, Refused, UsageError
from replicator.flows.journal import JOURNAL, REPLACED, Journal

if TYPE_CHECKING:
    from collections.abc import Callable


def test_whoever_is_told_to_end_leaves_the_rest_to_the_next_process() -> None:
    machine = Machine()
    machine.is_ending = True
    switch = switch_of(machine)
    assert not switch.turn("standalone", "a test")
    assert (switch.journal.to, switch.journal.step) == ("standalone", "awaiting")
    machine.is_ending = False
    again = switch_of(machine)
    assert again.resume()
    assert (machine.running, again.journal.mode, machine.reloads) == (STANDALONE, "standalone", 1)


@pytest.mark.parametrize("cut", range(len(STANDALONE) + 1))
def test_a_file_that_a_kill_has_left_half_written_is_no_stranger(cut: int) -> None:
    machine = Machine()
    machine.die_at = 4 * 2  # before config.yaml is replaced: the original, the other, the digests, the step
    with pytest.raises(Killed):
        switch_of(machine).turn("standalone", "a test")
    assert (machine.config, machine.effects) == (ORIGINAL, 5)
    machine.config, machine.die_at = STANDALONE[:cut] + ORIGINAL[cut:], None
    again = switch_of(machine)
    assert again.resume()
    assert (machine.running, again.journal.mode) == (STANDALONE, "standalone")


@pytest.mark.parametrize("to", ["standalone", "etcd"])
def test_what_somebody_changes_amid_a_switch_stays(to: Any) -> None:
    machine = Machine()
    if to == "etcd":
        switch_of(machine).turn("standalone", "before")
    switch = switch_of(machine)

    def never_ready() -> bool:
        machine.config = b"edited"
        raise GatewayFailed("ready fails")

    switch._gateway.await_ready = never_ready  # type: ignore[method-assign]
    assert not switch.turn(to, "a test")
    assert (machine.config, switch.journal.to) == (b"edited", None)
    assert switch.journal.failure == "ready fails"
    assert switch.journal.unread


def test_an_undo_whose_reload_fails_is_made_good_later() -> None:
    machine = Machine()
    switch = switch_of(machine)
    machine.failing = {"reload"}
    assert not switch.turn("standalone", "a test")
    assert (machine.config, switch.journal.mode, switch.journal.unread) == (ORIGINAL, "etcd", "reload fails")
    assert not switch.turn("etcd", "once more")
    assert (switch.journal.unread, switch.journal.undone) == ("reload fails", 2)
    machine.failing, machine.config = set(), b"any original"
    assert switch.turn("etcd", "once more")
    assert (machine.running, machine.reloads, switch.journal.unread) == (b"any original", 1, "")


def test_a_config_that_can_not_be_written_back_is_tried_until_it_can() -> None:
    machine = Machine()
    switch = switch_of(machine)
    machine.failing = {"ready"}
    switch._gateway.await_ready = lambda: machine.failing.add("replace") or machine.await_ready()  # type: ignore[method-assign]
    with pytest.raises(GatewayFailed, match="replace fails"):
        switch.turn("standalone", "a test")
    with pytest.raises(GatewayFailed, match="replace fails"):
        switch_of(machine).resume()
    machine.failing = set()
    again = switch_of(machine)
    again.resume()
    assert machine.config == machine.running == ORIGINAL
    assert (again.journal.mode, again.journal.to, again.journal.failure) == ("etcd", None, "ready fails")


def until_full(machine: Machine, full_at: int) -> Callable[[str, bytes], None]:
    """Return a `Machine.write` that finds the disk full after so many writes."""
    writes, write = itertools.count(), machine.write

    def write_until_full(name: str, body: bytes) -> None:
        if next(writes) >= full_at:
            raise UsageError("no space left on device")
        write(name, body)

    return write_until_full


@pytest.mark.parametrize("to", ["standalone", "etcd"])
def test_a_full_disk_delays_a_switch_and_breaks_nothing(to: Any) -> None:
    for full_at in itertools.count():
        machine = Machine()
        if to == "etcd":
            switch_of(machine).turn("standalone", "before")
        switch, written = switch_of(machine), machine.files.copy()
        write = machine.write
        machine.write = until_full(machine, full_at)  # type: ignore[method-assign]
        before = machine.config
        try:
            assert switch.turn(to, "a test")
        except UsageError:
            machine.write = write  # type: ignore[method-assign]
            assert full_at or (machine.files, machine.config) == (written, before)
            assert msgspec.json.decode(machine.files.get(JOURNAL, b"{}"), type=Journal) == switch.journal
            if switch.journal.to is None:
                assert machine.config == machine.running == before
                assert switch.turn(to, "again")
            assert switch.resume()
            assert machine.config == machine.running == (ORIGINAL if to == "etcd" else STANDALONE)
            assert machine.reloads <= 2 + (to == "etcd")
            continue
        assert full_at > 2
        return


def test_what_is_replaced_by_force_is_kept() -> None:
    machine = Machine()
    switch = switch_of(machine)
    switch.turn("standalone", "a test")
    machine.config = b"edited"
    assert switch.turn("etcd", "a test", is_forced=True)
    assert machine.files[REPLACED] == b"edited"


def test_a_failover_by_force_takes_the_strange_config_for_the_original() -> None:
    machine = Machine()
    switch = switch_of(machine)
    switch.turn("standalone", "a test")
    machine.config = b"newer\n"
    with pytest.raises(Refused):
        switch.turn("standalone", "a test")
    for die_at in range(20):
        machine.effects, machine.die_at = 0, die_at
        with suppress(Killed):
            switch = switch_of(machine)
            switch.resume()
            switch.turn("standalone", "a test", is_forced=True)
    assert machine.files[REPLACED] == ORIGINAL
    machine.die_at = None
    switch = switch_of(machine)
    switch.resume()
    assert switch.turn("etcd", "and back")
    assert machine.config == machine.running == b"newer\n"


def test_an_edited_standalone_config_never_becomes_the_original() -> None:
    machine = Machine()
    switch = switch_of(machine)
    switch.turn("standalone", "a test")
    machine.config = STANDALONE + b"edited"

    def refuse(_: bytes) -> bytes:
        raise UsageError("it takes its resources from a file already")

    switch._standalone = refuse
    with pytest.raises(UsageError, match="from a file already"):
        switch.turn("standalone", "a test", is_forced=True)
    assert not switch.put_back("etcd answers")
    assert machine.config == STANDALONE + b"edited"
    assert machine.files["config.yaml.original"] == ORIGINAL


def test_a_newer_container_has_an_original_of_its_own() -> None:
    machine = Machine()
    switch_of(machine).place("etcd is away")
    machine.config = b"newer\n"
    switch_of(machine).place("etcd is away")
    assert machine.config == b"standalone: newer\n"
    machine.config = b"newest\n"
    switch = switch_of(machine)
    assert not switch.put_back("etcd is back")
    assert (machine.config, switch.journal.mode, machine.reloads) == (b"newest\n", "etcd", 0)


@pytest.mark.parametrize("die_at", range(24))
@pytest.mark.parametrize("to", ["standalone", "etcd"])
def test_a_gateway_that_ended_amid_a_switch_starts_on_one_or_the_other(to: Any, die_at: int) -> None:
    machine = Machine()
    if to == "etcd":
        switch_of(machine).turn("standalone", "before")
    machine.effects, machine.die_at, reloads = 0, die_at, machine.reloads
    with suppress(Killed):
        switch_of(machine).turn(to, "a test")
    machine.die_at, reloads = None, machine.reloads
    switch_of(machine).place("etcd is away")
    assert (machine.config, machine.reloads) == (STANDALONE, reloads)
    switch_of(machine).put_back("etcd is back")
    assert (machine.config, machine.reloads) == (ORIGINAL, reloads)
