"""A single thread that does jobs for the event loop, one after the other, and equal ones once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


class BusyError(Exception):
    """As many jobs wait as may."""


@dataclass(eq=False)
class _Waiting:
    """A job that has not begun, and who waits for it."""

    job: Callable[[], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    first: bool


class CoalescingExecutor:
    """Does jobs in turn, those that are `first` before the others, on a thread that begins with the first job.

    With `newest_first` the last that was asked for is the next: so those who keep a queue full make nobody wait who
    comes anew, and where too many wait, the oldest is dropped. All methods are for the event loop's thread. Its own is
    a daemon: a collector that hangs must not keep the bot from ending.
    """

    def __init__(self, name: str, *, most_waiting: int, newest_first: bool = False) -> None:
        self._name = name
        self._most_waiting = most_waiting
        self._newest_first = newest_first
        self._unfinished = 0
        """Jobs that are not `first`: those that wait, and the one that is done just now."""
        self._waiting: dict[Hashable, _Waiting] = {}  # in the order in which they were asked for
        self._closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    async def do(self, key: Hashable, job: Callable[[], T], *, first: bool = False) -> T:
        """Return what `job` returns, or raise what it raises. A job of the same key that has not begun serves both.

        Jobs that are `first` must have few keys: as many of them may wait as there are. Raises `BusyError` where too
        many of the others wait: at once, or, with `newest_first`, once it is dropped.
        """
        with self._changed:
            waiting = self._waiting.get(key)
            if waiting is None:
                waiting = self._queued(key, job, first=first)
            elif self._newest_first:
                self._waiting[key] = self._waiting.pop(key)
        result: T = await asyncio.shield(waiting.future)
        return result

    def close(self) -> None:
        """Let the thread end after the job that it is at."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the thread's end."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _queued(self, key: Hashable, job: Callable[[], Any], *, first: bool) -> _Waiting:
        if not first and self._unfinished >= self._most_waiting:
            self._drop_oldest()
        loop = asyncio.get_running_loop()
        waiting = self._waiting[key] = _Waiting(job, loop.create_future(), loop, first)
        self._unfinished += not first
        self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        return waiting

    def _drop_oldest(self) -> None:
        """Have one job less wait. Raises `BusyError` where none may be dropped."""
        others = (key for key, waiting in self._waiting.items() if not waiting.first)
        if not self._newest_first or (oldest := next(others, None)) is None:
            raise BusyError
        self._done(self._waiting.pop(oldest), None, BusyError())

    def _done(self, waiting: _Waiting, result: Any, error: BaseException | None) -> None:
        self._unfinished -= not waiting.first
        if error is None:
            waiting.future.set_result(result)
        else:
            waiting.future.set_exception(error)
            waiting.future.exception()  # looked at, for the case that all who wanted it have gone

    def _run(self) -> None:
        while (waiting := self._next()) is not None:
            result, failure = None, None
            try:
                result = waiting.job()
            except Exception as error:  # noqa: BLE001 - passed on to whoever waits
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                waiting.loop.call_soon_threadsafe(self._done, waiting, result, failure)

    def _next(self) -> _Waiting | None:
        """Wait for a job, and return it; `None` once the executor is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            keys = list(self._waiting)
            first = next((key for key in keys if self._waiting[key].first), keys[-1 if self._newest_first else 0])
            return self._waiting.pop(first)
