"""What the sender's thread is asked to do: by the bot's calls, and by the lanes that report."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Runner = TypeVar("Runner")


class CallQueue(Generic[Runner]):
    """A queue of calls, each of which is given what runs on the sender's thread. Putting one in never waits.

    `offer` takes at most `most`: the thread is that far behind only where it hangs.
    """

    def __init__(self, *, most: int) -> None:
        self._queue: SimpleQueue[Callable[[Runner], None]] = SimpleQueue()
        self._most = most
        self.turned_away = 0
        """How many alerts there have been that found no room."""

    def __len__(self) -> int:
        return self._queue.qsize()

    def put(self, call: Callable[[Runner], None]) -> None:
        """Have the thread do something."""
        self._queue.put(call)

    def offer(self, call: Callable[[Runner], None]) -> bool:
        """Have the thread do something, and return whether there was room for it."""
        there_is_room = self._queue.qsize() < self._most
        if there_is_room:
            self._queue.put(call)
        return there_is_room

    def wait(self, timeout_seconds: float) -> list[Callable[[Runner], None]]:
        """Return what has been put in, having waited for the first of it."""
        calls = []
        try:
            calls.append(self._queue.get(timeout=max(timeout_seconds, 0.0)))
            while True:
                calls.append(self._queue.get_nowait())
        except Empty:
            return calls
