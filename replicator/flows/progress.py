"""How far a long work has come, for whoever watches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_T = TypeVar("_T")


class Progress(Protocol):
    """Hears how a work goes on; from one thread at a time."""

    def expect(self, ahead: int) -> None:
        """From now on, about *ahead* steps are to be done."""

    def step(self, count: int = 1) -> None:
        """So many more are done."""


class _Unwatched:
    """A `Progress` that nobody watches."""

    def expect(self, ahead: int) -> None:
        """Do nothing."""

    def step(self, count: int = 1) -> None:
        """Do nothing."""


UNWATCHED: Final = _Unwatched()


def stepping(items: Iterable[_T], progress: Progress) -> Iterator[_T]:
    """Yield *items*; each is a step, which is done when the next one is asked for."""
    for item in items:
        yield item
        progress.step()
