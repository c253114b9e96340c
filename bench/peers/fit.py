"""How long labels and fitting take: by the number of workers, and by the number of rows. Printed as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from bench_strategy import END, random_walk
from nightdesk_core.models.pipeline import WindowInfo
from nightdesk_retrain.workers import workers
from nightdesk_trendbot.model.labels import label_events
from nightdesk_trendbot.model.training import train
from nightdesk_trendbot.pipeline import CandleWindow, TrendPipeline
from nightdesk_trendbot.settings import ModelSettings, TrendbotSettings

MINUTE, FOLDS = 60, 12


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def silent(_stage: str, _share: float) -> None:
    """Tell nobody."""


def by_workers(symbols: int, bars: int) -> dict[int, float]:
    """Return the seconds of a fit on so many symbols, by how many workers share it."""
    names = tuple(f"S{number}/USDT:USDT" for number in range(symbols))
    settings = TrendbotSettings(symbols=names, timeframe="1m", model=ModelSettings(folds=FOLDS))
    markets = {name: random_walk(bars, MINUTE, seed=seed) for seed, name in enumerate(names)}
    start = float(END - bars * MINUTE)
    window = CandleWindow(markets, WindowInfo(start, float(END), symbols * bars, ""))
    found = {}
    for count in (1, 2):
        with workers(count=count):
            found[count] = seconds(lambda: TrendPipeline(settings).fit(window, until=END, progress=silent))
    return found


def by_rows(most: int) -> list[tuple[int, float]]:
    """Return (rows, seconds) of a fit on all of the rows, a half, a quarter and an eighth of them."""
    settings = TrendbotSettings(timeframe="1m", model=ModelSettings(folds=FOLDS))
    events = label_events(random_walk(most, MINUTE, seed=1), settings)
    found = []
    with workers(count=1):
        for part in (8, 4, 2, 1):
            chosen = events.select(np.arange(len(events)) < len(events) // part)
            found.append((len(chosen), seconds(partial(train, chosen, settings, progress=silent))))
    return found


if __name__ == "__main__":
    # Compiled once, and not by what is measured.
    by_workers(1, 200_000)
    result = by_workers(*map(int, sys.argv[2:])) if sys.argv[1] == "workers" else by_rows(int(sys.argv[2]))
    json.dump(result, sys.stdout)
