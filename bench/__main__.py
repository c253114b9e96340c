"""Runs every comparison in turn, ours and the peer's side by side, and prints ratios. `make bench`.

A peer lives in an environment of its own under `var/bench`, made from hash-pinned requirements, and never ships with
the product; what the product stands on is measured as it ships. Machines differ and drift, so each round measures both,
and the ratios of the rounds count. `make bench ONLY=exporter` runs the comparisons whose names hold that word.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

from bench import exporter, retrain, trendbot
from bench.comparison import HEADER, Row

COMPARISONS: dict[str, Callable[[], Iterator[Row | str]]] = {
    "trendbot backtests": trendbot.backtests,
    "trendbot labels": trendbot.labels,
    "exporter updates": exporter.updates,
    "exporter pauses": exporter.pauses,
    "exporter imports": exporter.imports,
    "retrain job": retrain.job,
    "retrain fitting": retrain.fitting,
}


def main(only: str = "") -> None:
    """Print the rows of each comparison, with their goals, and how loaded the machine was."""
    chosen = {name: rows for name, rows in COMPARISONS.items() if only in name}
    if not chosen:
        raise SystemExit(f"no comparison is called {only}; there are {', '.join(COMPARISONS)}")
    print(HEADER)
    for name, rows in chosen.items():
        before = os.getloadavg()[0]
        for row in rows():
            print(row, flush=True)
        print(f"{name}: the machine's load was {before:.1f} before and {os.getloadavg()[0]:.1f} after", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
