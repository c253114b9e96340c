"""Runs every comparison in turn, ours and the peer's side by side, and prints ratios. `make bench`.

A peer lives in an environment of its own under `var/bench`, made from hash-pinned requirements, and never ships with
the product. Whole processes are timed from outside, warm repetitions inside one process. Machines differ and drift, so
each round measures both, and the ratios of the rounds count.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import data

CHECKOUT = Path(__file__).resolve().parent.parent
VAR = CHECKOUT / "var" / "bench"
ROUNDS = 3


@dataclass(frozen=True)
class Comparison:
    """What is compared with whom, how the figure is got, and the goal for peer over ours."""

    name: str
    ours: str
    theirs: str
    peer: str
    figure: Callable[[Path, str], float]
    goal: float


def warm_seconds(python: Path, subject: str) -> float:
    """Return the median seconds of a repetition in a warm process."""
    done = subprocess.run(_command(python, subject, repetitions=5), capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["seconds"])


def fresh_seconds(python: Path, subject: str) -> float:
    """Return the seconds of a whole process that does the work once, imports and compilation included."""
    begun = time.perf_counter()
    subprocess.run(_command(python, subject, repetitions=0), capture_output=True, check=True)
    return time.perf_counter() - begun


def _command(python: Path, subject: str, *, repetitions: int) -> list[str]:
    script = CHECKOUT / "bench" / "peers" / f"{subject}.py"
    return [str(python), str(script), str(VAR / "data.npz"), str(repetitions)]


COMPARISONS = (
    Comparison(
        "backtest of 1,000,000 bars, warm", "engine_nightdesk", "engine_vectorbt", "vectorbt", warm_seconds, goal=3
    ),
    Comparison(
        "the same from a fresh process", "engine_nightdesk", "engine_vectorbt", "vectorbt", fresh_seconds, goal=10
    ),
    Comparison(
        "triple-barrier labels of 2,000 events", "labels_nightdesk", "labels_mlfinpy", "mlfinpy", warm_seconds, goal=500
    ),
)


def environment(peer: str) -> Path:
    """Return the Python of a peer's environment, made where it does not exist yet."""
    folder = VAR / peer
    python = folder / "bin" / "python"
    requirements = CHECKOUT / "bench" / "requirements" / f"{peer}.txt"
    stamp = folder / ".installed"
    if not stamp.exists() or stamp.stat().st_mtime < requirements.stat().st_mtime:
        print(f"making an environment for {peer}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = ["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--require-hashes"]
        subprocess.run([str(python), *install, "-r", str(requirements)], check=True)
        stamp.touch()
    return python


def main() -> None:
    """Print one row for each comparison, with its goal and whether the median ratio meets it."""
    data.write(VAR / "data.npz")
    print(f"{'':40} {'ours':>10} {'peer':>10} {'':10} {'ratio: min':>10} {'median':>8} {'max':>8} {'goal':>6}")
    for comparison in COMPARISONS:
        peer = environment(comparison.peer)
        rounds = [
            (
                comparison.figure(Path(sys.executable), comparison.ours),
                comparison.figure(peer, comparison.theirs),
            )
            for _ in range(ROUNDS)
        ]
        ours, theirs = (statistics.median(side) for side in zip(*rounds, strict=True))
        ratios = [their / our for our, their in rounds]
        median = statistics.median(ratios)
        print(
            f"{comparison.name:40} {ours:8.4f} s {theirs:8.3f} s {comparison.peer:10}"
            f" {min(ratios):10.1f} {median:8.1f} {max(ratios):8.1f} {comparison.goal:6.0f}"
            f"  {'met' if median >= comparison.goal else 'missed'}"
        )


if __name__ == "__main__":
    main()
