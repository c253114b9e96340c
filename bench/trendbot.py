"""The engine's backtest and labels against the libraries that others use for them.

Whole processes are timed from outside, warm repetitions inside one process.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import data
from bench.comparison import AtLeast, Row
from bench.environments import OURS, VAR, command, environment, told_by

ROUNDS = 3
HISTORY = VAR / "data.npz"

Figure = Callable[[Path, str], float]


def backtests() -> Iterator[Row]:
    """A backtest against vectorbt's, warm and from a fresh process."""
    for name, figure, goal in (
        ("backtest of 1,000,000 bars, warm", warm_seconds, AtLeast(3)),
        ("the same from a fresh process", fresh_seconds, AtLeast(10)),
    ):
        yield _row(name, ("engine_nightdesk", "engine_vectorbt"), "vectorbt", figure, goal)


def labels() -> Iterator[Row]:
    """Triple-barrier labels against mlfinpy's."""
    subjects = ("labels_nightdesk", "labels_mlfinpy")
    yield _row("triple-barrier labels of 2,000 events", subjects, "mlfinpy", warm_seconds, AtLeast(500))


def warm_seconds(python: Path, subject: str) -> float:
    """Return the median seconds of a repetition in a warm process."""
    return float(told_by(python, subject, HISTORY, 5)["seconds"])


def fresh_seconds(python: Path, subject: str) -> float:
    """Return the seconds of a whole process that does the work once, imports and compilation included."""
    begun = time.perf_counter()
    subprocess.run(command(python, subject, HISTORY, 0), capture_output=True, check=True)
    return time.perf_counter() - begun


def _row(name: str, subjects: tuple[str, str], peer: str, figure: Figure, goal: AtLeast) -> Row:
    data.write(HISTORY)
    ours, theirs = subjects
    python = environment(peer)
    rounds = [(figure(OURS, ours), figure(python, theirs)) for _ in range(ROUNDS)]
    return Row(name, peer, "s", rounds, goal)
