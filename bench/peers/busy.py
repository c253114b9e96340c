"""A busy asyncio loop, and the longest that a scrape of its process makes it wait. Runs in every environment.

The loop does 20 microseconds of work a turn and never sleeps, as one that reads a websocket in a busy market. A pause
is the time from turn to turn; for each scrape the longest counts, and of all scrapes the 99th percentile. Its own part
is the processor time that the process took meanwhile: what the bot itself holds its loop up for, however busy the rest
of the machine is.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

SCRAPER = Path(__file__).with_name("scraper.py")
SHORTEST_SECONDS = 0.0001
"""Shorter turns are the loop's own."""

Window = tuple[float, float]
Pause = tuple[float, float, float]
"""When it ended, how long it was, and how much of that was the process's own processor time."""


async def scraped(address: str, *, scrapes: int) -> None:
    """Keep the loop busy while the process is scraped; print what the scrapes did to it as JSON."""
    command = [sys.executable, str(SCRAPER), address, str(scrapes)]
    with tempfile.TemporaryFile("w+") as said:  # a pipe would be full before anybody reads it
        process = subprocess.Popen(command, stdout=said)
        pauses = await _turned(while_runs=process)
        if process.returncode:
            raise SystemExit("the scraper failed")
        said.seek(0)
        windows = json.load(said)
    told = {
        "scrapes": scrapes,
        "scrape_seconds": statistics.median(end - begun for begun, end in windows["scraped"]),
        "pause": _spread(_longest(pauses, windows["scraped"], at=1)),
        "own": _spread(_longest(pauses, windows["scraped"], at=2)),
        "quiet": _spread(_longest(pauses, windows["quiet"], at=1)),
    }
    json.dump(told, sys.stdout)


async def _turned(*, while_runs: subprocess.Popen[bytes]) -> list[Pause]:
    """Turn, and return the pauses that came about."""
    pauses: list[Pause] = []
    last, own_last = time.monotonic(), time.process_time()
    while while_runs.poll() is None:
        for _ in range(50):
            sum(range(1000))
            await asyncio.sleep(0)
            now, own = time.monotonic(), time.process_time()
            if now - last > SHORTEST_SECONDS:
                pauses.append((now, now - last, own - own_last))
            last, own_last = now, own
    return pauses


def _longest(pauses: Sequence[Pause], windows: Sequence[Window], *, at: int) -> list[float]:
    """Return the longest pause, or own part of one, within each window; one that overlaps its edge is in it."""
    ends = [pause[0] for pause in pauses]
    found = []
    for begun, end in windows:
        within = pauses[bisect_right(ends, begun) : bisect_right(ends, end) + 1]
        found.append(max((pause[at] for pause in within if pause[0] - pause[1] < end), default=0.0))
    return found


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"median": cuts[49], "p99": cuts[98], "longest": max(seconds)}
