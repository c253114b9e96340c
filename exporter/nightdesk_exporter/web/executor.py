"""A single thread that does jobs for the event loop, one after the other, and equal ones once."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class BusyError(Exception):
    """As many jobs wait as may."""


class CoalescingExecutor:
    """Does jobs in turn, on a thread that begins with the first. All methods are for the event loop's thread.

    It is a daemon: a collector that hangs must not keep the bot from ending.
    """

    def __init__(self, name: str, *, most_waiting: int) -> None:
        self._name = name
        self._most_waiting = most_waiting
        self._unfinished = 0
        self._begun_not: dict[Hashable, asyncio.Future[Any]] = {}
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def do(self, key: Hashable, job: Callable[[], T]) -> T:
        """Return what `job` returns, or raise what it raises. A job of the same key that has not begun serves both.

        Raises `BusyError` at once where too many wait.
        """
        future: asyncio.Future[T] | None = self._begun_not.get(key)
        if future is None:
            if self._unfinished >= self._most_waiting:
                raise BusyError
            future = self._queued(key, job)
        return await asyncio.shield(future)

    def close(self) -> None:
        """Let the thread end after the job that it is at."""
        self._jobs.put(None)

    def join(self, timeout_seconds: float) -> None:
        """Wait for the thread's end."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _queued(self, key: Hashable, job: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def done(result: T | None, error: BaseException | None) -> None:
            self._unfinished -= 1
            if error is None:
                future.set_result(result)  # type: ignore[arg-type] # without an error there is a result
            else:
                future.set_exception(error)
                future.exception()  # looked at, for the case that all who wanted it have gone

        def work() -> None:
            self._begun_not.pop(key, None)
            result, failure = None, None
            try:
                result = job()
            except Exception as error:  # noqa: BLE001 - passed on to whoever waits
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                loop.call_soon_threadsafe(done, result, failure)

        self._unfinished += 1
        self._begun_not[key] = future
        self._jobs.put(work)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        return future

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
