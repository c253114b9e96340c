"""Work in parallel, by joblib: wherever its configuration says, which is the caller's to choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from joblib import Parallel


def done_in_parallel(tasks: Sequence[Any], *, progress: Callable[[float], None] = lambda _: None) -> list[Any]:
    """Return the results of `joblib.delayed` calls in their order; `progress` is told the share that is done.

    Raises what a call or `progress` raises.
    """
    told = _Told(tasks, progress)
    results = list(told(tasks))
    if told.failure is not None:
        raise told.failure
    return results


class _Told(Parallel):  # type: ignore[misc]  # joblib has no types
    def __init__(self, tasks: Sequence[Any], progress: Callable[[float], None]) -> None:
        super().__init__()
        self._count = len(tasks)
        self._progress = progress
        self.failure: Exception | None = None

    def print_progress(self) -> None:
        """Tell the caller, where joblib would print."""
        try:
            self._progress(self.n_completed_tasks / self._count)
        except Exception as error:  # noqa: BLE001 - in joblib's own thread it would be lost, and joblib wait for ever
            self.failure = self.failure or error
