"""The one seeded history that everybody is measured on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

BARS = 1_000_000
EVENTS = 2_000
"""Events that a triple-barrier peer labels: at its rate a million bars' worth would take hours."""


def write(path: Path) -> None:
    """Write a random walk of hourly bars, and wishes on one bar in fifty, long or short."""
    random = np.random.default_rng(20)
    close = 1000 * np.exp(np.cumsum(random.normal(0, 0.004, BARS) - 0.000008))
    opened = np.concatenate([[1000.0], close[:-1]])
    spread = np.abs(random.normal(0, 0.001, (2, BARS)))
    sides = np.where(random.random(BARS) < 0.02, random.choice([-1, 1], BARS), 0)
    events = np.sort(random.choice(BARS - 100, EVENTS, replace=False))
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        time=np.arange(BARS, dtype=np.int64) * 3600,
        open=opened,
        high=np.maximum(opened, close) * (1 + spread[0]),
        low=np.minimum(opened, close) * (1 - spread[1]),
        close=close,
        sides=sides.astype(np.int64),
        events=events,
    )
