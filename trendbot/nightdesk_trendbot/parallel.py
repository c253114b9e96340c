"""Work in parallel, by joblib: wherever its configuration says, which is the caller's to choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from joblib import Parallel


def done_in_parallel(tasks: Sequence[Any], *, progress: Callable[[float], None] = lambda _: None) -> list[Any]:
    """Return the results of `joblib.delayed` calls in their order; `progress` is told the share that is done.

    Raises what a call raises.
    """
    return list(_Told(tasks, progress)(tasks))


class _Told(Parallel):  # type: ignore[misc]  # joblib has no types
    def __init__(self, tasks: Sequence[Any], progress: Callable[[float], None]) -> None:
        super().__init__()
        self._count = len(tasks)
        self._progress = progress

    def print_progress(self) -> None:
        """Tell the caller, where joblib would print."""
        self._progress(self.n_completed_tasks / self._count)
