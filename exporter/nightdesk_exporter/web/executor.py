"""A single thread that does jobs for the event loop, one after the other, and equal ones once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

_LAST_WORD, _FIRST, _IN_TURN = range(3)
"""What comes off the queue before what."""


class BusyError(Exception):
    """As many jobs wait as may."""


@dataclass(eq=False)
class _Waiting:
    """A job that has not begun. Whoever takes `claim` first, the thread or who drops it, has it."""

    future: asyncio.Future[Any]
    first: bool
    claim: threading.Lock = field(default_factory=threading.Lock)


class CoalescingExecutor:
    """Does jobs in turn, those that are `first` before the others, on a thread that begins with the first job.

    With `newest_first` the last that came is the next: so those who keep a queue full make nobody wait who comes anew,
    and where too many wait, the oldest is dropped. All methods are for the event loop's thread. Its own is a daemon: a
    collector that hangs must not keep the bot from ending.
    """

    def __init__(self, name: str, *, most_waiting: int, newest_first: bool = False) -> None:
        self._name = name
        self._most_waiting = most_waiting
        self._newest_first = newest_first
        self._unfinished = 0
        self._waiting: dict[Hashable, _Waiting] = {}  # in the order of their coming
        self._jobs: queue.PriorityQueue[tuple[int, int, Callable[[], None] | None]] = queue.PriorityQueue()
        self._numbers = itertools.count(step=-1 if newest_first else 1)
        self._thread: threading.Thread | None = None

    async def do(self, key: Hashable, job: Callable[[], T], *, first: bool = False) -> T:
        """Return what `job` returns, or raise what it raises. A job of the same key that has not begun serves both.

        Jobs that are `first` must have few keys: as many of them may wait as there are. Raises `BusyError` where too
        many of the others wait: at once, or, with `newest_first`, once it is dropped.
        """
        waiting = self._waiting.get(key)
        if waiting is None:
            if not first and self._unfinished >= self._most_waiting:
                self._drop_oldest()
            waiting = self._queued(key, job, first=first)
        result: T = await asyncio.shield(waiting.future)
        return result

    def close(self) -> None:
        """Let the thread end after the job that it is at."""
        self._jobs.put((_LAST_WORD, next(self._numbers), None))

    def join(self, timeout_seconds: float) -> None:
        """Wait for the thread's end."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _drop_oldest(self) -> None:
        """Have one job less wait. Raises `BusyError` where none may be dropped."""
        for key, waiting in list(self._waiting.items()) if self._newest_first else ():
            if not waiting.first and waiting.claim.acquire(blocking=False):
                del self._waiting[key]
                self._unfinished -= 1
                waiting.future.set_exception(BusyError())
                waiting.future.exception()  # looked at, for the case that all who wanted it have gone
                return
        raise BusyError

    def _queued(self, key: Hashable, job: Callable[[], Any], *, first: bool) -> _Waiting:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        waiting = _Waiting(future, first)

        def done(result: Any, error: BaseException | None) -> None:
            self._unfinished -= not first
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
                future.exception()  # looked at, for the case that all who wanted it have gone

        def work() -> None:
            if not waiting.claim.acquire(blocking=False):
                return  # dropped
            self._waiting.pop(key, None)
            result, failure = None, None
            try:
                result = job()
            except Exception as error:  # noqa: BLE001 - passed on to whoever waits
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                loop.call_soon_threadsafe(done, result, failure)

        self._unfinished += not first
        self._waiting[key] = waiting
        self._jobs.put((_FIRST if first else _IN_TURN, next(self._numbers), work))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        return waiting

    def _run(self) -> None:
        while (job := self._jobs.get()[-1]) is not None:
            job()
