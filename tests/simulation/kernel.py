"""A scheduler that runs threads one at a time, in an order that a seed decides, on a clock of its own.

The code under test is the real one, threads and all. Its modules see this kernel's `Thread`, `Condition`,
`Event` and `Lock` in place of Python's: whoever waits, sleeps or asks a store hands the baton back, and the
seed says who goes on. So a schedule is one number, and repeats.
"""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = datetime(2026, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """The process of whoever runs is gone: nothing that it does from now on has any effect."""


@dataclass(eq=False)
class Process:
    """A process: its threads live and die together.

    Attributes:
        skew_s: How far its wall clock is ahead.
        lost_s: For how long it stood still without knowing, as with a virtual machine that is paused.
    """

    name: str
    skew_s: float = 0.0
    is_dead: bool = False
    asleep_until: float = 0.0
    lost_s: float = 0.0
    monotonic_s: float = 0.0


@dataclass(eq=False)
class Task:
    """A thread of a process; *wakes_at* is None while it waits for another's word alone."""

    process: Process
    work: Callable[[], None]
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    wakes_at: float | None = 0.0
    is_done: bool = False


class Kernel:
    """Runs tasks; `step` lets one of them go on until it waits for something."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now_s = 0.0
        self.current: Task | None = None
        self._tasks: list[Task] = []
        self._back = threading.Semaphore(0)

    def spawn(self, process: Process, work: Callable[[], None]) -> Task:
        """Begin a task of *process*."""
        task = Task(process, work)
        self._tasks.append(task)
        threading.Thread(target=self._live, args=(task,), daemon=True).start()
        return task

    def step(self) -> bool:
        """Let one task go on; False if none ever will by itself."""
        self.now_s += self.chance.uniform(0, 0.02)
        able = [task for task in self._tasks if self._ready_at(task) is not None]
        if not able:
            return False
        ready = [task for task in able if self._ready_at(task) <= self.now_s]  # type: ignore[operator]
        if not ready:
            self.now_s = min(self._ready_at(task) for task in able)  # type: ignore[type-var, assignment]
            ready = [task for task in able if self._ready_at(task) <= self.now_s]  # type: ignore[operator]
        self._resume(self.chance.choice(ready))
        return True

    def kill(self, process: Process) -> None:
        """End *process* as `kill -9` does."""
        process.is_dead = True
        for task in [task for task in self._tasks if task.process is process]:
            while not task.is_done:
                self._resume(task)

    def sleep(self, seconds: float | None = 0.0) -> None:
        """Hand the baton back, for so long at least; for None until another says so."""
        task = self.current
        if task is None:  # nobody's thread: the test's own
            return
        self.live()
        task.wakes_at = None if seconds is None else self.now_s + seconds
        self._back.release()
        task.go.acquire()
        self.live()

    def live(self) -> None:
        """Raise `Killed` if whoever runs is dead."""
        if self.current is not None and self.current.process.is_dead:
            raise Killed

    def _ready_at(self, task: Task) -> float | None:
        if task.is_done or task.wakes_at is None:
            return None
        return max(task.wakes_at, task.process.asleep_until)

    def _resume(self, task: Task) -> None:
        self.current = task
        task.go.release()
        self._back.acquire()
        self.current = None
        self._tasks = [each for each in self._tasks if not each.is_done]

    def _live(self, task: Task) -> None:
        task.go.acquire()
        try:
            if not task.process.is_dead:
                task.work()
        except Killed:
            pass
        finally:
            task.is_done = True
            self._back.release()


class SimulatedClock:
    """The `Clock` of one process."""

    def __init__(self, kernel: Kernel, process: Process) -> None:
        self._kernel = kernel
        self._process = process

    def now(self) -> datetime:
        """Return the wall-clock time as this process has it."""
        return START + timedelta(seconds=self._kernel.now_s + self._process.skew_s)

    def monotonic(self) -> float:
        """Return the seconds since the world's beginning; some pass with each question, as anywhere."""
        self._kernel.now_s += 1e-6
        process = self._process
        process.monotonic_s = max(process.monotonic_s, self._kernel.now_s - process.lost_s)
        return process.monotonic_s

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._kernel.sleep(seconds)


class Lock:
    """Held only between two hand-overs, so that nobody ever waits for it."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def __enter__(self) -> Self:
        self._kernel.live()
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Condition(Lock):
    """Where tasks wait for each other's word."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self._waiting: list[Task] = []

    def wait(self, timeout: float | None = None) -> None:
        """Hand over until somebody says so, or *timeout* seconds have passed."""
        task = self._kernel.current
        assert task is not None
        self._waiting.append(task)
        self._kernel.sleep(timeout)
        if task in self._waiting:
            self._waiting.remove(task)

    def wait_for(self, true: Callable[[], bool], timeout: float | None = None) -> bool:
        """Hand over until *true* is; return whether it is."""
        deadline = None if timeout is None else self._kernel.now_s + timeout
        while not (answer := true()):
            left = None if deadline is None else deadline - self._kernel.now_s
            if left is not None and left <= 0:
                break
            self.wait(left)
        return answer

    def notify_all(self) -> None:
        """Let all who wait go on."""
        for task in self._waiting:
            task.wakes_at = self._kernel.now_s
        self._waiting.clear()


class Event:
    """A flag to wait for."""

    def __init__(self, kernel: Kernel) -> None:
        self._is_set = False
        self._changed = Condition(kernel)

    def is_set(self) -> bool:
        """Tell whether it is."""
        return self._is_set

    def set(self) -> None:
        """Set it."""
        self._is_set = True
        self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Hand over until it is set; return whether it is."""
        return self._changed.wait_for(self.is_set, timeout)


class Thread:
    """A task of the same process as whoever starts it."""

    def __init__(self, kernel: Kernel, target: Callable[..., None], args: tuple = (), **_: object) -> None:
        self._kernel = kernel
        self._target, self._args = target, args
        self._over = Event(kernel)

    def start(self) -> None:
        """Begin."""
        assert self._kernel.current is not None
        self._kernel.spawn(self._kernel.current.process, self._run)

    def _run(self) -> None:
        try:
            self._target(*self._args)
        finally:
            self._over.set()

    def is_alive(self) -> bool:
        """Tell whether it has not ended."""
        return not self._over.is_set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self._over.wait(timeout)


class Threads:
    """What stands in for the module `threading`."""

    def __init__(self, kernel: Kernel) -> None:
        self.Lock, self.Condition, self.Event, self.Thread = (
            partial(kind, kernel) for kind in (Lock, Condition, Event, Thread)
        )


class InLine:
    """What stands in for a thread pool: work is done when it is handed in."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work: Callable[..., object], *arguments: object) -> _Done:
        """Do the work."""
        try:
            return _Done(work(*arguments))
        except Exception as failure:  # noqa: BLE001 (raised when the result is asked for)
            return _Done(None, failure)


@dataclass
class _Done:
    value: object
    failure: Exception | None = None

    def result(self) -> object:
        if self.failure is not None:
            raise self.failure
        return self.value

    def cancel(self) -> bool:
        return False


@contextmanager
def simulated(kernel: Kernel, modules: list[object]) -> Iterator[Threads]:
    """Let *modules* see the kernel's threads for the time of the block."""
    threads = Threads(kernel)
    before = [(module, name, getattr(module, name)) for module in modules for name in _names(module)]
    for module, name, _ in before:
        setattr(module, name, threads if name == "threading" else InLine)
    try:
        yield threads
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def _names(module: object) -> list[str]:
    return [name for name in ("threading", "ThreadPoolExecutor") if hasattr(module, name)]
