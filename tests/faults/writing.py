"""A life of changes that goes on in an etcd whatever happens to that, and can be made to wait."""

from __future__ import annotations

import http.client
import itertools
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from life import Life
from servers.etcd_json import EtcdJson

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

FAILURES = (OSError, http.client.HTTPException, AssertionError)
"""How etcd doesn't do what it is asked for while it is hurt; whether it did is the observer's to say."""

_PATIENCE_S = 3.0


class Writing:
    """Changes the etcd at *endpoints* at random, about *rate* times a second; for a `with` block."""

    def __init__(self, endpoints: Sequence[str], chance: Random, rate: float) -> None:
        self._endpoints = itertools.cycle(endpoints)
        self._chance = chance
        self._rate = rate
        self._turn = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, name="life", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Make no more changes."""
        self._stopping.set()
        self._thread.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Make no change during the block."""
        with self._turn:
            yield

    def _live(self) -> None:
        seed = self._chance.randrange(1 << 30)
        life: Life | None = None
        while not self._stopping.is_set():
            with EtcdJson(next(self._endpoints), _PATIENCE_S) as etcd:
                life = life or Life(etcd, seed, large_share=0.002)
                life.etcd = etcd
                self._change(life)

    def _change(self, life: Life) -> None:
        """Make changes as long as etcd takes them."""
        while not self._stopping.is_set():
            try:
                with self._turn:
                    life.change()
            except FAILURES:
                self._stopping.wait(0.1)
                return
            self._stopping.wait(self._chance.expovariate(self._rate))
