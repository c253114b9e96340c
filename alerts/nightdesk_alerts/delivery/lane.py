"""A thread for one thing that may be slow: a destination, or the disk. What hangs there delays nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Lane(Generic[Result]):
    """Does one job at a time, and hands its result over. It is a daemon: it never keeps the bot from ending.

    `failed` is what a job that raised counts as; a job is expected to return its failures.
    """

    def __init__(self, name: str, *, failed: Callable[[Exception], Result]) -> None:
        self._name = name
        self._failed = failed
        self._jobs: SimpleQueue[tuple[Callable[[], Result], Callable[[Result], None]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self.busy = False

    def start(self, job: Callable[[], Result], then: Callable[[Result], None]) -> None:
        """Do `job`, and call `then` with its result, both on the lane's thread. The caller clears `busy`."""
        self.busy = True
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"nightdesk-alerts-{self._name}", daemon=True)
            self._thread.start()
        self._jobs.put((job, then))

    def close(self) -> None:
        """Have the thread end once it has nothing to do."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (found := self._jobs.get()) is not None:
            job, then = found
            try:
                result = job()
            except Exception as error:  # noqa: BLE001 - the top of a job: what it raised becomes its result
                result = self._failed(error)
            then(result)
