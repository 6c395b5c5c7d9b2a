"""Two that roll back and a third that writes, at one etcd: nobody's unseen change is ever overwritten."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest
from etcd_oracle import held
from etcd_sources import source_of
from servers.etcd_json import EtcdJson

from replicator.core.rewriting import TXN_OPERATIONS
from replicator.core.scan import Selection
from replicator.errors import Refused, SourceUnavailable
from replicator.flows import keyspace
from replicator.flows.rewrite import plan_rewriting, rewrite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from servers.etcd import Etcd

    from replicator.adapters.etcd import EtcdSource
    from replicator.core.rewriting import Step

_KEYS = [b"/apisix/routes/%d" % number for number in range(5)]
_ROUNDS = 25


class Worker:
    """Writes values of its own forward, again and again; *did* has the steps of each that wasn't refused."""

    def __init__(self, endpoint: str, name: bytes, seed: int) -> None:
        self._source = source_of(endpoint)
        self._name = name
        self._dice = random.Random(f"{seed}{name!r}")
        self.did: dict[bytes, Step] = {}
        self.refused = 0

    def work(self) -> None:
        """Do all rounds."""
        for number in range(_ROUNDS):
            chosen = self._dice.sample(_KEYS, 3)
            live = keyspace.live(self._source).state
            wanted = {key: record.value for key, record in live.items()}
            for place, key in enumerate(chosen):
                wanted[key] = b"%b-%d-%d" % (self._name, number, place)
            wanted.pop(self._dice.choice(_KEYS), None)
            rewriting = plan_rewriting(live, wanted, Selection(b"/apisix/routes/"), "/apisix")
            try:
                rewrite(self._source, rewriting, "/apisix")
            except Refused:
                self.refused += 1
            else:
                self.did.update({step.value: step for step in rewriting.steps if step.value is not None})


def test_two_rollbacks_in_a_race_never_lose_what_a_third_has_written(etcd: Etcd) -> None:
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    with EtcdJson(etcd.endpoint) as client:
        first = client.put(_KEYS[0], "first")
        workers = [Worker(etcd.endpoint, name, seed) for name in (b"one", b"other")]
        threads = [threading.Thread(target=worker.work) for worker in workers]
        for thread in threads:
            thread.start()
        last = first
        while any(thread.is_alive() for thread in threads):
            last = client.put(dice.choice(_KEYS), f"third-{last}")
            threads[0].join(dice.uniform(0, 0.02))
        did = {value: step for worker in workers for value, step in worker.did.items()}
        head = client.put(_KEYS[0], "last")
        before = held(client, b"/apisix/routes/", first)
        for revision in range(first + 1, head + 1):
            after = held(client, b"/apisix/routes/", revision)
            for key, record in after.items():
                if record != before.get(key) and record.value in did:
                    assert did[record.value].seen == before.get(key), (seed, revision, key)
            before = after
    assert did, seed
    assert sum(worker.refused for worker in workers), seed


class Heard:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.ahead = 0
        self.steps: list[int] = []

    def expect(self, ahead: int) -> None:
        """Note how many steps are ahead."""
        self.ahead = ahead

    def step(self, count: int = 1) -> None:
        """Note them."""
        self.steps.append(count)


def test_many_keys_go_in_many_transactions_and_large_ones_alone(etcd: Etcd) -> None:
    source = source_of(etcd.endpoint)
    live = keyspace.live(source).state
    wanted = {b"/apisix/routes/%04d" % number: b"x" * 100 for number in range(3 * TXN_OPERATIONS + 5)}
    wanted |= {b"/apisix/routes/large%d" % number: b"y" * 900_000 for number in range(3)}
    heard = Heard()
    rewriting = plan_rewriting(live, wanted, Selection(b""), "/apisix")
    rewrite(source, rewriting, "/apisix", heard)
    assert heard.ahead == sum(heard.steps) == len(wanted)
    assert len(heard.steps) >= 3 + 3
    with EtcdJson(etcd.endpoint) as client:
        assert {key: record.value for key, record in held(client, b"/apisix/", 0).items()} == wanted
    assert not plan_rewriting(keyspace.live(source).state, wanted, Selection(b""), "/apisix").steps


class Faltering:
    """An etcd that is gone after so many transactions."""

    def __init__(self, source: EtcdSource, transactions: int) -> None:
        self._source = source
        self._left = transactions

    def transact(self, steps: Sequence[Step]) -> Sequence[bytes]:
        """Do them, or fail."""
        if not self._left:
            raise SourceUnavailable("gone", hint="wait")
        self._left -= 1
        return self._source.transact(steps)


@pytest.mark.parametrize("transactions", [0, 1, 3])
def test_what_was_interrupted_is_told_and_taken_up(etcd: Etcd, transactions: int) -> None:
    source = source_of(etcd.endpoint)
    live = keyspace.live(source).state
    wanted = {b"/apisix/routes/%04d" % number: b"{}" for number in range(4 * TXN_OPERATIONS)}
    rewriting = plan_rewriting(live, wanted, Selection(b""), "/apisix")
    done = transactions * TXN_OPERATIONS
    with pytest.raises(
        SourceUnavailable, match=f"{done} of 512 keys are written, and {512 - done} are not: gone"
    ):
        rewrite(Faltering(source, transactions), rewriting, "/apisix")
    rest = plan_rewriting(keyspace.live(source).state, wanted, Selection(b""), "/apisix")
    assert (len(rest.steps), rest.unchanged) == (512 - done, done)
    rewrite(source, rest, "/apisix")
    assert len(keyspace.live(source).state) == 512


def test_somebody_elses_change_stops_it_and_is_named(etcd: Etcd) -> None:
    source = source_of(etcd.endpoint)
    live = keyspace.live(source).state
    wanted = {b"/apisix/routes/%d" % number: b"{}" for number in range(3)}
    rewriting = plan_rewriting(live, wanted, Selection(b""), "/apisix")
    with EtcdJson(etcd.endpoint) as client:
        client.put(b"/apisix/routes/1", "theirs")
        with pytest.raises(
            Refused, match=r"0 of 3 keys are written, and 3 are not: .* changed routes/1 since"
        ):
            rewrite(source, rewriting, "/apisix")
        assert {key: record.value for key, record in held(client, b"/apisix/", 0).items()} == {
            b"/apisix/routes/1": b"theirs"
        }
