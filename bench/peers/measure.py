"""How a subject measures itself: warm repetitions in one process, printed as JSON. Runs in every environment."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable


def report(work: Callable[[], int], *, repetitions: int) -> None:
    """Run `work` once to warm up and then `repetitions` times; print the median seconds and what `work` counted."""
    count = work()
    seconds = []
    for _ in range(repetitions):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    json.dump({"seconds": statistics.median(seconds) if seconds else None, "count": count}, sys.stdout)
